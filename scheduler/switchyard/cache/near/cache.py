"""``switchyard.NearCache``: a cache with the values that this process asked for lately in its own memory."""

from __future__ import annotations

import marshal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from switchyard.cache.cache import Cache
from switchyard.cache.near.invalidation import Invalidation
from switchyard.cache.near.memory import Near
from switchyard.errors import ConfigurationError
from switchyard.forking import PerProcess
from switchyard.node_figures import Cell, count
from switchyard.spans import Span
from switchyard.urls import is_cluster

#: Longest that a value stays in memory without being asked for again on the servers, in seconds. A value that
#: runs out is dropped by a message as well, but a server may be late in noticing that it ran out.
NEAR_TTL_S = 10.0


@dataclass(frozen=True, slots=True)
class _Here:
    """What one process has: its memory, and what listens for it, if anything does."""

    near: Near
    invalidation: Invalidation | None


class NearCache:
    """``cache`` with up to ``entries`` values and ``max_bytes`` bytes in memory; the least recently used go.

    Each of the cache's servers tells what changes on it, so that a value here is old for the time that a
    message takes, and for ``STALE_S`` (2) seconds if a network swallows messages. While a server does not
    answer, and with a Redis Cluster, every call goes to ``cache``. Threads may share it; it may be made
    before a fork. Raises ConfigurationError.
    """

    def __init__(self, cache: Cache, entries: int = 10_000, max_bytes: int = 16_000_000) -> None:
        if not isinstance(cache, Cache):
            raise ConfigurationError(f"{cache!r} is not a switchyard.Cache; make one, and put this before it")
        if entries < 0 or max_bytes < 0:
            raise ConfigurationError(
                f"entries={entries} and max_bytes={max_bytes} can't be negative; 0 keeps nothing in memory"
            )
        self.cache = cache
        # Redis Cluster moves keys between servers while it runs; nobody listens to that here.
        self._servers = () if any(map(is_cluster, cache.urls)) else cache.urls
        self._entries = entries
        self._max_bytes = max_bytes
        self._here = PerProcess(self._listen)

    def get(self, key: str, default: Any = None) -> Any:
        """The value under this key, or ``default``."""
        near = self._here.get().near
        copy = near.get(key)
        if copy is not None:
            return marshal.loads(copy)
        value = self._fill(near, key, default, lambda: self.cache.get(key, default))
        if value is not default:
            count(Cell.FOUND)
        return value

    def get_or_compute(self, key: str, compute: Callable[[], Any], ttl: Span | None = None) -> Any:
        """The value under this key, computed by one caller of the cluster if there is none."""
        near = self._here.get().near
        copy = near.get(key)
        if copy is not None:
            return marshal.loads(copy)
        found = True

        def computed() -> Any:
            nonlocal found
            found = False
            return compute()

        value = self._fill(near, key, None, lambda: self.cache.get_or_compute(key, computed, ttl))
        if found:
            count(Cell.FOUND)
        return value

    def set(self, key: str, value: Any, ttl: Span | None = None) -> bool:
        """Put a value under a key; whether any server took it. Raises NotCacheable."""
        try:
            return self.cache.set(key, value, ttl)
        finally:
            self._here.get().near.drop([key])

    def delete(self, key: str) -> bool:
        """Forget a key; whether any server did."""
        try:
            return self.cache.delete(key)
        finally:
            self._here.get().near.drop([key])

    @property
    def warm(self) -> bool:
        """Whether this process's memory answers: all servers are heard."""
        return self._here.get().near.trusted

    def close(self) -> None:
        """Listen no more and forget what is in memory. The cache stays open: it is the caller's."""
        ear = self._here.take()
        if ear is not None and ear.invalidation is not None:
            ear.invalidation.close()

    def _fill(self, near: Near, key: str, missing: Any, ask: Callable[[], Any]) -> Any:
        token = near.reserve(key)
        value = missing
        try:
            value = ask()
        finally:
            near.put(key, None if value is missing else _copy(value), NEAR_TTL_S, token)
        return value

    def _listen(self) -> _Here:
        near = Near(self._entries, self._max_bytes)
        if not (self._servers and self._entries):
            return _Here(near, None)
        keys = self.cache.keys
        invalidation = Invalidation(near, self._servers, keys.entries, keys.life)
        invalidation.start()
        return _Here(near, invalidation)


def _copy(value: Any) -> bytes | None:
    """A value as bytes for this process alone, so that who changes what it got changes nobody else's.

    None if it is more than plain data, as msgpack's own types are; it is not kept then.
    """
    try:
        return marshal.dumps(value)
    except ValueError:
        return None
