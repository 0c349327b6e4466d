"""What a cache needs of the servers behind it: the ring of servers and Redis Cluster both offer it."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from switchyard.cache.deadline import Deadline


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

    def claim(self, key: str, token: str, lease: float, deadline: Deadline) -> bool | None:
        """Whether the caller with this token may compute the key for ``lease`` s; None if no server says."""

    def release(self, key: str, token: str, deadline: Deadline) -> None:
        """Give a claim back before its lease ends."""

    def clear(self, deadline: Deadline) -> bool:
        """Forget every entry of the namespace; whether every server did."""

    def owners(self, key: str) -> list[str]:
        """Names of the servers that hold a key, first asked first."""

    def states(self) -> list[ServerState]:
        """Each server, asked now."""

    def close(self) -> None:
        """Let go of connections and threads."""
