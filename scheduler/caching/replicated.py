"""A first, plain store: writes go to all owners, reads fall over; no versions yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from redis import Redis
from redis.exceptions import RedisError

from scheduler.caching.deadline import Deadline
from scheduler.caching.figures import Counters
from scheduler.caching.keys import CacheKeys
from scheduler.caching.ring import Ring
from scheduler.caching.store import Found, Lifetime, ServerState, Standing


class Replicated:
    """Servers on a ring."""

    def __init__(
        self, weights: Mapping[str, int], replicas: int, keys: CacheKeys, deadline: float, counters: Counters
    ) -> None:
        self._weights = weights
        self._keys = keys
        self._counters = counters
        self._ring = Ring(weights, replicas)
        self._clients = {
            url: Redis.from_url(url, socket_timeout=deadline / 2, socket_connect_timeout=deadline / 2)
            for url in weights
        }

    def read(self, keys: Sequence[str], deadline: Deadline) -> dict[str, Found]:
        found = {}
        for key in keys:
            for owner in self._ring.owners(key):
                try:
                    payload = self._clients[owner].get(self._keys.entry(key))
                except RedisError:
                    self._counters.failed()
                    continue
                if payload is not None:
                    found[key] = Found(payload)
                    break
        return found

    def write(self, payloads: Mapping[str, bytes], lifetime: Lifetime, deadline: Deadline) -> bool:
        px = int((lifetime.ttl + lifetime.stale) * 1000)
        return all(
            [
                self._on_owners(
                    key, lambda client, key=key, raw=raw: client.set(self._keys.entry(key), raw, px=px)
                )
                for key, raw in payloads.items()
            ]
        )

    def remove(self, keys: Iterable[str], deadline: Deadline) -> bool:
        return all(
            [self._on_owners(key, lambda c, key=key: c.delete(self._keys.entry(key)) >= 0) for key in keys]
        )

    def _on_owners(self, key, what) -> bool:
        done = False
        for owner in self._ring.owners(key):
            try:
                done |= bool(what(self._clients[owner]))
            except RedisError:
                self._counters.failed()
        return done

    def claim(self, key: str, token: str, lease: float, deadline: Deadline) -> bool | None:
        for owner in self._ring.owners(key):
            try:
                return bool(
                    self._clients[owner].set(self._keys.claim(key), token, nx=True, px=int(lease * 1000))
                )
            except RedisError:
                self._counters.failed()
        return None

    def release(self, key: str, token: str, deadline: Deadline) -> None:
        self._on_owners(key, lambda c: c.delete(self._keys.claim(key)))

    def clear(self, deadline: Deadline) -> bool:
        return False

    def owners(self, key: str) -> list[str]:
        return list(self._ring.owners(key))

    def states(self) -> list[ServerState]:
        return [ServerState(name, weight, Standing.UP) for name, weight in self._weights.items()]

    def close(self) -> None:
        for client in self._clients.values():
            client.close()
