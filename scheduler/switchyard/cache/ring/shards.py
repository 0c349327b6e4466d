"""The servers of a cache on their ring."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from functools import lru_cache

from switchyard.cache.figures import Counters
from switchyard.cache.keys import CacheKeys, require_text
from switchyard.cache.refusals import Refusals
from switchyard.cache.ring.operations import REMEMBERED, Operations
from switchyard.cache.ring.ring import Ring
from switchyard.cache.ring.shard import Shard
from switchyard.errors import ConfigurationError
from switchyard.urls import server_name


class Shards:
    """Each server once, and the owners of a key."""

    def __init__(
        self,
        weights: Mapping[str, int],
        replicas: int,
        keys: CacheKeys,
        longest_ttl: float,
        counters: Counters,
    ) -> None:
        urls = {server_name(url): url for url in weights}
        by_name = {server_name(url): weight for url, weight in weights.items()}
        _require(weights, by_name, replicas)
        self.operations = Operations(keys, _digest(by_name, replicas), longest_ttl)
        refusals = Refusals()
        self._by_name = shards = {
            name: Shard(name, urls[name], weight, self.operations, counters, refusals)
            for name, weight in by_name.items()
        }
        ring = Ring(by_name, replicas)

        def owners(key: str) -> tuple[Shard, ...]:
            return tuple(shards[name] for name in ring.owners(require_text(key)))

        #: The servers that hold a key, in ring order.
        self.owners = lru_cache(REMEMBERED)(owners)

    def __iter__(self) -> Iterator[Shard]:
        return iter(self._by_name.values())

    def named(self, name: str) -> Shard | None:
        """The server of this name, if it is still one of ours."""
        return self._by_name.get(name)


def _require(weights: Mapping[str, int], by_name: Mapping[str, int], replicas: int) -> None:
    if not weights or len(by_name) < len(weights):
        raise ConfigurationError("servers= names none, or one of them twice; name each cache server once")
    if any(not isinstance(weight, int) or weight < 1 for weight in weights.values()):
        raise ConfigurationError("a weight in servers= is no positive whole number; 1 is the usual weight")
    if not isinstance(replicas, int) or replicas < 1:
        raise ConfigurationError(
            f"replicas={replicas} is no number of servers that hold a key; 2 survives the loss of one server"
        )


def _digest(by_name: Mapping[str, int], replicas: int) -> str:
    text = repr((sorted(by_name.items()), replicas))
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
