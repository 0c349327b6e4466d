"""What is still to be done to end the faults that were begun, each at its time."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable

from tests.chaos.run.faults import Later

#: For all endings to be over once no fault comes any more, in seconds.
_OVER = 240.0


class Endings:
    """A queue of them by time; done by whoever waits on it."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Callable[[], Later | None]]] = []
        self._numbers = itertools.count()
        self._pause = threading.Event()

    def add(self, later: Later | None) -> None:
        """Do this when it is due, and what it answers after that."""
        if later is not None:
            heapq.heappush(self._due, (time.monotonic() + later.after, next(self._numbers), later.act))

    def sleep_until(self, at: float) -> None:
        """Do all that is due until the time ``at`` of CLOCK_MONOTONIC."""
        while self._due and self._due[0][0] <= at:
            due, _, act = heapq.heappop(self._due)
            self._sleep(due)
            self.add(act())
        self._sleep(at)

    def finish(self) -> None:
        """Do all that is left, each when it is due. Raises AssertionError if that has no end."""
        deadline = time.monotonic() + _OVER
        while self._due:
            assert self._due[0][0] < deadline, f"faults were not over within {_OVER:g} s"
            self.sleep_until(self._due[0][0])

    def _sleep(self, until: float) -> None:
        self._pause.wait(max(0.0, until - time.monotonic()))
