"""Waiting with a deadline: a benchmark that hangs says what for."""

from __future__ import annotations

import time
from collections.abc import Callable

#: Between two looks, in seconds: rare enough to take no processor time from what is measured.
LOOK = 0.05


def wait_until(condition: Callable[[], object], what: str, timeout: float, look: float = LOOK) -> None:
    """Return once ``condition`` is true. Raises TimeoutError that says ``what`` after ``timeout`` s."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout:.0f} s: {what}")
        time.sleep(look)
