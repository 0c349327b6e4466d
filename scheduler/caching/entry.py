"""An entry as servers keep it: ``<life id><mark><payload>``; the layout is told in lua/_cache.lua."""

from __future__ import annotations

import re
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
#: Heads of values that are gone once they are no longer fresh.
_FRESH_VALUES = re.compile(rb"(?:.{36}(.{13})\1v)*", re.DOTALL)


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


def plain_payloads(life: bytes, raws: Sequence[bytes | None]) -> list[bytes] | None:
    """The payloads, if all of these are values of this life, and nothing about them can be stale.

    In few calls for all of them: this is what most reads of many keys do.
    """
    if not raws or None in raws:
        return None
    heads = [raw[:_PAYLOAD] for raw in raws if raw]
    # The life comes first and the version second, so what holds for the least and the greatest holds for all.
    least, greatest, life_id = min(heads), max(heads), life[:LIFE]
    if least[:LIFE] != life_id or greatest[:LIFE] != life_id or least[_VERSION] <= life[_FLOOR]:
        return None
    return [raw[_PAYLOAD:] for raw in raws if raw] if _FRESH_VALUES.fullmatch(b"".join(heads)) else None
