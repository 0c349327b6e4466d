"""Opens the store behind a cache's URLs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scheduler.caching.figures import Counters
from scheduler.caching.keys import CacheKeys
from scheduler.caching.replicated import Replicated
from scheduler.caching.store import Store


def open_store(
    servers: Sequence[str] | Mapping[str, int],
    replicas: int,
    keys: CacheKeys,
    longest_ttl: float,
    deadline: float,
    counters: Counters,
) -> Store:
    """The ring of these servers, or the Redis Cluster. Raises ConfigurationError."""
    weights = dict(servers) if isinstance(servers, Mapping) else dict.fromkeys(servers, 1)
    return Replicated(weights, replicas, keys, longest_ttl, deadline, counters)
