"""An entry as servers keep it: ``<life id><mark><payload>``; the layout is told in lua/_cache.lua."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

LIFE = 20
_FLOOR = slice(20, 36)
_VERSION = slice(20, 36)
_FRESH = slice(36, 49)
_GONE = slice(49, 62)
_KIND = slice(62, 63)
_PAYLOAD = 63

VALUE = b"v"
TOMBSTONE = b"x"


class Entry(NamedTuple):
    """A value or a tombstone, as one server had it."""

    raw: bytes

    @property
    def version(self) -> bytes:
        """Digits of equal length: the greater one is the newer."""
        return self.raw[_VERSION]

    @property
    def mark(self) -> bytes:
        """Version, times and kind, which are the same on every server."""
        return self.raw[LIFE:_PAYLOAD]

    @property
    def payload(self) -> bytes:
        """The encoded value."""
        return self.raw[_PAYLOAD:]

    @property
    def is_value(self) -> bool:
        """False for a tombstone."""
        return self.raw[_KIND] == VALUE

    def fresh_at(self, now_ms: float) -> bool:
        """Whether its TTL is not over yet by the server's clock."""
        fresh, gone = self.raw[_FRESH], self.raw[_GONE]
        return fresh == gone or now_ms < int(fresh)


def present(life: bytes | None, raw: bytes | None) -> Entry | None:
    """What a server has under a key, if that belongs to its present life and was not cleared."""
    if life is None or raw is None or raw[:LIFE] != life[:LIFE] or raw[_VERSION] <= life[_FLOOR]:
        return None
    return Entry(raw)


def tombstone_mark(version: bytes, longest_ms: int) -> bytes:
    """The mark of a tombstone of this version."""
    gone = int(version) // 1000 + longest_ms
    return b"%s%013d%013d%s" % (version, gone, gone, TOMBSTONE)


def plain_values(life: bytes, raws: Sequence[bytes | None]) -> list[bytes | None]:
    """The payloads of entries that are values, belong to the life, and have nothing stale about them.

    In one loop without calls: this is what most reads of many keys do.
    """
    life_id, floor, value = life[:LIFE], life[_FLOOR], VALUE[0]
    return [
        raw[_PAYLOAD:]
        if raw is not None
        and raw[:LIFE] == life_id
        and raw[62] == value
        and raw[36:49] == raw[49:62]
        and raw[20:36] > floor
        else None
        for raw in raws
    ]
