"""Every Redis key that a cache uses, named in one place."""

from __future__ import annotations

import re
from dataclasses import dataclass

from switchyard.errors import ConfigurationError

_NAMESPACE = re.compile(r"[A-Za-z0-9_.:-]+")


def require_text(key: str) -> str:
    """The key, if it is text that can be sent. Raises ConfigurationError."""
    try:
        key.encode()
    except (AttributeError, UnicodeEncodeError) as exc:
        raise ConfigurationError(f"{key!r} can't be a cache key: {exc}; use text, such as str(id)") from None
    return key


@dataclass(frozen=True, slots=True)
class CacheKeys:
    """The key names of one cache. Unlike the cluster's state they share no hash tag: entries spread."""

    namespace: str = "cache"

    def __post_init__(self) -> None:
        """Raises ConfigurationError: the servers take some other characters for patterns."""
        if not _NAMESPACE.fullmatch(self.namespace):
            raise ConfigurationError(
                f"namespace={self.namespace!r} can't begin a key; use letters, digits and any of _ . : -"
            )

    @property
    def entries(self) -> str:
        """What every entry's key starts with."""
        return f"{self.namespace}:e:"

    @property
    def life(self) -> str:
        """String: the life that the server's entries belong to, see lua/includes/begin_life.lua."""
        return f"{self.namespace}:life"

    @property
    def missed(self) -> str:
        """Hash: "<server> <key>" -> version of a write that this server took and that one missed."""
        return f"{self.namespace}:missed"

    def whole(self, ring: str) -> str:
        """String that expires: the life in which the server was given all that it owns on this ring."""
        return f"{self.namespace}:whole:{ring}"

    def filling(self, ring: str) -> str:
        """String that expires: a client gives the server what it lacks."""
        return f"{self.namespace}:filling:{ring}"

    def entry(self, key: str) -> str:
        """String: one entry."""
        return f"{self.namespace}:e:{key}"

    def claim(self, key: str) -> str:
        """String that expires: the token of whoever computes this key."""
        return f"{self.namespace}:c:{key}"
