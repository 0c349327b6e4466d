"""``switchyard.Cache``: values by key on several servers, for callers who can do without it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from switchyard.cache.codec import codec
from switchyard.cache.computing import Computation
from switchyard.cache.figures import Counters, Figures
from switchyard.cache.keys import CacheKeys
from switchyard.cache.redis_cluster.store import ClusterStore
from switchyard.cache.ring.replicated import Replicated
from switchyard.cache.store import Deadline, ServerState, Store, Ttl
from switchyard.errors import ConfigurationError
from switchyard.spans import Span, seconds
from switchyard.urls import is_cluster


class Cache:
    """A cache on Redis or Valkey servers, each key on ``replicas`` of them.

    ``servers``: URLs (``redis://``, ``rediss://``, ``unix://``), or URLs with their weights; or one
    ``redis+cluster://host:port`` URL, and the Redis Cluster behind it shards and replicates by itself.
    ``ttl``, ``longest_ttl``: seconds (or a timedelta, as for all spans here) an entry lives by default and at
    most; each entry's is cut by up to the
    share ``jitter``, so that what was set together does not expire together. ``deadline``: seconds that any
    operation takes at most, whatever it tries. ``serializer``: ``"json"`` or ``"msgpack"``. ``max_bytes``:
    largest value, encoded.

    A server that fails is a miss for the caller, never an error: it is logged once per outage and counted in
    ``figures``. What raises is wrong use: ConfigurationError, and NotCacheable for a value that is too large
    or not plain data. Safe to share between threads, and to make before a fork.
    """

    def __init__(
        self,
        servers: Sequence[str] | Mapping[str, int],
        *,
        replicas: int = 2,
        namespace: str = "cache",
        ttl: Span = 300.0,
        longest_ttl: Span = 86_400.0,
        jitter: float = 0.1,
        deadline: Span = 0.25,
        serializer: str = "json",
        max_bytes: int = 1_000_000,
    ) -> None:
        self.namespace = namespace
        #: Its servers, as they were given.
        self.urls = tuple(servers)
        self.keys = CacheKeys(namespace)
        self._ttl = Ttl(seconds(ttl, "ttl"), seconds(longest_ttl, "longest_ttl"), jitter)
        self._codec = codec(serializer, max_bytes)
        self._deadline = seconds(deadline, "deadline")
        self._counters = Counters()
        self._store = _open_store(
            servers, replicas, self.keys, self._ttl.longest, self._deadline, self._counters
        )

    @property
    def figures(self) -> Figures:
        """Hits, misses, errors and repairs of this process so far."""
        return self._counters.figures()

    def get(self, key: str, default: Any = None) -> Any:
        """The value under this key, or ``default``."""
        return self.get_many([key]).get(key, default)

    def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """The values of those keys that have one."""
        wanted = list(dict.fromkeys(keys))
        found = self._store.read(wanted, self._begin())
        values = self._codec.decode_all(found.fresh)
        self._counters.looked_up(len(values), len(wanted) - len(values))
        return values

    def set(self, key: str, value: Any, ttl: Span | None = None) -> bool:
        """Put a value under a key for ``ttl`` seconds; whether any server took it. Raises NotCacheable."""
        return self.set_many({key: value}, ttl)

    def set_many(self, values: Mapping[str, Any], ttl: Span | None = None) -> bool:
        """``set`` for many keys; whether each of them reached a server. Raises NotCacheable."""
        payloads = {key: self._codec.encode(key, value) for key, value in values.items()}
        return self._store.write(payloads, self._ttl.lifetime(ttl), self._begin())

    def delete(self, key: str) -> bool:
        """Forget a key; whether any server did. If none did, the old value may still be there."""
        return self._store.remove(key, self._begin())

    def get_or_compute(
        self,
        key: str,
        compute: Callable[[], Any],
        ttl: Span | None = None,
        *,
        hold: Span = 30.0,
        stale: Span = 0.0,
    ) -> Any:
        """The value under this key, computed by one caller if there is none.

        The others wait for it, or take the old value where one is kept: for ``stale`` seconds after its TTL.
        Whoever computes holds the others for ``hold`` seconds at most, even if it dies; then the next one
        computes. Without servers, everybody computes. What ``compute`` raises is raised, to its caller alone;
        so is NotCacheable if its value is.
        """
        longest_hold = seconds(hold, "hold")
        if not 0 < longest_hold < math.inf:
            raise ConfigurationError(f"hold={hold} s is no time to compute in; 30 is the default")
        lifetime = self._ttl.lifetime(ttl, stale)
        return Computation(
            self._store, self._codec, self._counters, self._begin, key, compute, lifetime, longest_hold
        ).value()

    def clear(self) -> bool:
        """Forget every key of the namespace, in constant time on a ring; whether every server did."""
        return self._store.clear(self._begin())

    def owners(self, key: str) -> list[str]:
        """Names of the servers that hold a key, first asked first."""
        return self._store.owners(key)

    def servers(self) -> list[ServerState]:
        """Each server with what it is good for, asked now, all at the same time."""
        return self._store.states()

    def close(self) -> None:
        """Let go of connections and threads."""
        self._store.close()

    def _begin(self) -> Deadline:
        return Deadline.after(self._deadline)


def _open_store(
    servers: Sequence[str] | Mapping[str, int],
    replicas: int,
    keys: CacheKeys,
    longest_ttl: float,
    deadline: float,
    counters: Counters,
) -> Store:
    """The ring of these servers, or the Redis Cluster. Raises ConfigurationError."""
    if not 0 < deadline < math.inf:
        raise ConfigurationError(f"deadline={deadline} s leaves no time to ask a server; 0.25 is the default")
    if isinstance(servers, str):
        raise ConfigurationError(f"servers={servers!r} is one text; write a list of URLs")
    urls = list(servers)
    if not any(map(is_cluster, urls)):
        weights = dict(servers) if isinstance(servers, Mapping) else _each_once(urls)
        return Replicated(weights, replicas, keys, longest_ttl, deadline, counters)
    if len(urls) > 1:
        raise ConfigurationError("a redis+cluster:// URL stands alone in servers=; name any one of its nodes")
    return ClusterStore(urls[0], keys, deadline, counters)


def _each_once(urls: Sequence[str]) -> dict[str, int]:
    weights = dict.fromkeys(urls, 1)
    if len(weights) < len(urls):
        raise ConfigurationError("servers= names one of them twice; name each cache server once")
    return weights
