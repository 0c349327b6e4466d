"""Waiting for a condition with a deadline, instead of sleeping and hoping."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: Between two looks at a condition, in seconds.
LOOK = 0.02


def wait_until(condition: Callable[[], T], what: str, timeout: float = 20.0, look: float = LOOK) -> T:
    """The first true value of ``condition``; fails with ``what`` and its last value after ``timeout`` s."""
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what} (last: {value!r})")
        pause.wait(look)
    return value
