"""Every Redis key that a cache uses, named in one place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CacheKeys:
    """The key names of one cache. Unlike the cluster's state they share no hash tag: entries spread."""

    namespace: str = "cache"

    @property
    def entries(self) -> str:
        """What every entry's key starts with."""
        return f"{self.namespace}:e:"

    @property
    def life(self) -> str:
        """String: which life of the server its entries belong to; see replicated.py."""
        return f"{self.namespace}:life"

    @property
    def whole(self) -> str:
        """String: the life in which the server was given all that it owns."""
        return f"{self.namespace}:whole"

    @property
    def filling(self) -> str:
        """String that expires: a client gives the server what it lacks."""
        return f"{self.namespace}:filling"

    @property
    def missed(self) -> str:
        """Hash: "<server that missed a write> <key>" -> the write's version."""
        return f"{self.namespace}:missed"

    def entry(self, key: str) -> str:
        """String: one entry, header and payload."""
        return f"{self.namespace}:e:{key}"

    def claim(self, key: str) -> str:
        """String that expires: the token of whoever computes this key."""
        return f"{self.namespace}:c:{key}"
