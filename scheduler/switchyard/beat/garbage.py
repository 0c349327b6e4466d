"""When Python's collector goes through all that there is: hardly ever, because everything stands still then.

Going through the definitions and schedules of 10,000 entries takes 0.1 s, and left to itself Python does so
every few seconds. What refers to itself, and so needs the collector, is rare here and mostly short-lived.
"""

from __future__ import annotations

import gc
import time

#: Between two moments at which what has stayed is set aside, in seconds: the rest is gone through quickly.
_ASIDE_EVERY = 10.0
#: Between two times that everything is gone through, in seconds.
_ALL_EVERY = 3600.0


class Garbage:
    """The collector of a process that sends in time."""

    def __init__(self) -> None:
        started = time.monotonic()
        self._aside_at = started + _ASIDE_EVERY
        self._all_at = started + _ALL_EVERY

    def turn(self) -> None:
        """Do what is due; nearly always nothing."""
        now = time.monotonic()
        if now < self._aside_at:
            return
        self._aside_at = now + _ASIDE_EVERY
        if now >= self._all_at:
            self._all_at = now + _ALL_EVERY
            gc.unfreeze()
            gc.collect()
        else:
            gc.collect(1)
        gc.freeze()
