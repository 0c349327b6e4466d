"""A circuit breaker: whether to try a server that failed before."""

from __future__ import annotations

from enum import Enum

from switchyard.forking import free_after_fork

#: Failures in a row that open the breaker: one lost connection is no outage.
FAILURES = 3
#: Seconds for which an open breaker leaves the server out before the next trial. healing.py counts
#: on it that no server is left out for longer than this after a try of our own failed.
PAUSE_S = 1.0


class Decision(Enum):
    """What to do with a server now."""

    PASS = "closed: use it"
    TRIAL = "half open: this call finds out"
    SKIP = "open: leave it out"


class Breaker:
    """Closed, open or half open. Times are seconds of one monotonic clock, given by the caller."""

    def __init__(self) -> None:
        self._lock = free_after_fork()
        self._failures = 0
        self._until: float | None = None

    @property
    def closed(self) -> bool:
        """Whether the server answers as far as is known."""
        return self._until is None

    def decide(self, now: float) -> Decision:
        """What to do with the server at this time; a trial is granted to one caller per pause."""
        if self._until is None:
            return Decision.PASS
        with self._lock:
            if self._until is None:
                return Decision.PASS
            if now < self._until:
                return Decision.SKIP
            self._until = now + PAUSE_S
            return Decision.TRIAL

    def succeeded(self) -> bool:
        """The server answered; whether that ended an outage."""
        if not self._failures:
            return False
        with self._lock:
            ended, self._failures, self._until = self._until is not None, 0, None
        return ended

    def failed(self, now: float) -> bool:
        """The server did not answer; whether an outage begins with that."""
        with self._lock:
            self._failures += 1
            if self._failures < FAILURES:
                return False
            begun, self._until = self._until is None, now + PAUSE_S
        return begun
