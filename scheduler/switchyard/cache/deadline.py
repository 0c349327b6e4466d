"""One deadline for all that an operation tries."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deadline:
    """The moment, by this process's monotonic clock in seconds, when an operation must have ended."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """So many seconds from now."""
        return cls(time.monotonic() + seconds)

    def left(self, tries: int = 1) -> float:
        """Seconds that the next of so many tries may take, 0.0 if it is too late."""
        return max(0.0, self.at - time.monotonic()) / tries
