"""How long entries live."""

from __future__ import annotations

import math
from dataclasses import dataclass

from switchyard.cache.store import Lifetime
from switchyard.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Ttl:
    """The default and the longest life of an entry in seconds, and the share that chance may cut from it."""

    default: float
    longest: float
    jitter: float

    def __post_init__(self) -> None:
        if not 0 < self.default <= self.longest < math.inf:
            raise ConfigurationError(
                f"ttl={self.default} is not between 0 and longest_ttl={self.longest} s; change either"
            )
        if not 0 <= self.jitter < 1:
            raise ConfigurationError(
                f"jitter={self.jitter} is no share of a TTL; choose from 0 up to below 1"
            )

    def lifetime(self, ttl: float | None = None, stale: float = 0.0) -> Lifetime:
        """An entry's life. Raises ConfigurationError if it is not positive or too long."""
        wanted = self.default if ttl is None else ttl
        if not (wanted > 0 and stale >= 0 and wanted + stale <= self.longest):
            raise ConfigurationError(
                f"ttl={wanted} and stale={stale} s are not within 0 and longest_ttl={self.longest} s; "
                "choose a shorter life or raise longest_ttl"
            )
        return Lifetime(wanted, stale, self.jitter)
