"""Wakes a thread that waits, from wherever."""

from __future__ import annotations

from contextlib import suppress
from queue import Empty, SimpleQueue


class Nudge:
    """As an event that clears itself; but a signal handler may give it, whatever it has interrupted."""

    def __init__(self) -> None:
        self._given: SimpleQueue[None] = SimpleQueue()

    def give(self) -> None:
        """End the wait, this one or the next."""
        self._given.put(None)

    def wait(self, seconds: float) -> None:
        """Until one was given, at most so long."""
        with suppress(Empty):
            self._given.get(timeout=seconds)
            while True:
                self._given.get_nowait()
