"""Opens the store behind a cache's URLs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from switchyard.cache.figures import Counters
from switchyard.cache.keys import CacheKeys
from switchyard.cache.redis_cluster.store import ClusterStore
from switchyard.cache.ring.replicated import Replicated
from switchyard.cache.store import Store
from switchyard.errors import ConfigurationError
from switchyard.urls import is_cluster


def open_store(
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
