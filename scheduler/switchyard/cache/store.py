"""What a cache needs of the servers behind it: the ring of servers and Redis Cluster both offer it."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from switchyard.errors import ConfigurationError
from switchyard.spans import Span, seconds


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


@dataclass(frozen=True, slots=True)
class Found:
    """Payloads by key: those within their TTL, and those past it within the time that they are kept on."""

    fresh: dict[str, bytes] = field(default_factory=dict)
    stale: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Lifetime:
    """Seconds for which an entry is fresh, and seconds for which it is kept on as stale after that."""

    ttl: float
    stale: float = 0.0
    #: Share of the ttl that chance may cut, anew for each entry.
    jitter: float = 0.0

    def fresh_ms(self) -> int:
        """For how long one entry is fresh, in ms."""
        return max(1, int(self.ttl * (1 - random.random() * self.jitter) * 1000))


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

    def lifetime(self, ttl: Span | None = None, stale: Span = 0.0) -> Lifetime:
        """An entry's life. Raises ConfigurationError if it is not positive or too long."""
        wanted = self.default if ttl is None else seconds(ttl, "ttl")
        kept_on = seconds(stale, "stale")
        if wanted == 0:
            raise ConfigurationError("ttl=0 keeps nothing; give more than 0 s, or delete the key instead")
        if wanted + kept_on > self.longest:
            raise ConfigurationError(
                f"ttl={wanted:g} and stale={kept_on:g} s are more than longest_ttl={self.longest:g} s; "
                "choose a shorter life or raise longest_ttl"
            )
        return Lifetime(wanted, kept_on, self.jitter)


class Standing(StrEnum):
    """What a server is good for."""

    UP = "up"
    #: Answers, and is being given what it missed.
    FILLING = "filling"
    #: Does not answer.
    AWAY = "away"


@dataclass(frozen=True, slots=True)
class ServerState:
    """One server of a cache."""

    name: str
    weight: int
    standing: Standing
    #: Keys of the server's database, not only the cache's, -1 if it does not answer.
    keys: int = -1
    #: Bytes of memory that the server uses, -1 if it does not answer.
    memory: int = -1


class Store(Protocol):
    """Bytes under keys, on servers that may be away. No method raises because a server is."""

    def read(self, keys: Sequence[str], deadline: Deadline) -> Found:
        """What is there of these keys."""

    def write(self, payloads: Mapping[str, bytes], lifetime: Lifetime, deadline: Deadline) -> bool:
        """Whether every entry reached a server."""

    def remove(self, key: str, deadline: Deadline) -> bool:
        """Whether the removal reached a server."""

    def claim(self, key: str, token: str, hold: float, deadline: Deadline) -> bool | None:
        """Whether the caller with this token may compute the key for ``hold`` s; None if no server says."""

    def release(self, key: str, token: str, deadline: Deadline) -> None:
        """Give a claim back before it ends."""

    def clear(self, deadline: Deadline) -> bool:
        """Forget every entry of the namespace; whether every server did."""

    def owners(self, key: str) -> list[str]:
        """Names of the servers that hold a key, first asked first."""

    def states(self) -> list[ServerState]:
        """Each server, asked now."""

    def close(self) -> None:
        """Let go of connections and threads."""
