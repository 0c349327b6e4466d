"""A process's own clock, to tell when what it holds ends."""

from __future__ import annotations

import time


def now() -> float:
    """Seconds of a clock that nobody sets; on Linux it counts while the machine sleeps as well.

    A paused virtual machine may stop even this clock. That is what the token is for.
    """
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()
