"""Which servers hold a key: a consistent-hash ring with virtual nodes and weights.

A key's owners are the first ``replicas`` distinct servers clockwise from its point. A server that joins or
leaves changes the owners of about 1/n of the keys, and with two replicas each of those keeps one of its
owners.
"""

from __future__ import annotations

import hashlib
from bisect import bisect
from collections.abc import Mapping

from uhashring import HashRing

#: Points of a server of weight 1. The shares of n servers scatter by about 1/sqrt(points): 2,000 of them keep
#: the fullest of 10 servers within 5 % of the mean, and cost 3 ms and 0.5 MB a server.
POINTS = 2_000


def _point(key: str) -> int:
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest())


class Ring:
    """The servers by name, with weights; all owners are worked out once: finding a key's is a bisection."""

    def __init__(self, weights: Mapping[str, int], replicas: int) -> None:
        ring = HashRing(dict(weights), hash_fn=_point, vnodes=POINTS)
        self._points, names = zip(*ring.get_points(), strict=True)
        self._owners = _owners_by_point(names, min(replicas, len(weights)))

    def owners(self, key: str) -> tuple[str, ...]:
        """The servers that hold this key, first asked first."""
        return self._owners[bisect(self._points, _point(key)) % len(self._points)]


def _owners_by_point(names: tuple[str, ...], replicas: int) -> list[tuple[str, ...]]:
    owners: list[tuple[str, ...]] = [()] * len(names)
    ahead: list[str] = []
    # Backwards, twice around: the second time every point knows the servers that follow it.
    for at in [*reversed(range(len(names)))] * 2:
        ahead = [names[at], *(name for name in ahead if name != names[at])]
        owners[at] = tuple(ahead[:replicas])
    return owners
