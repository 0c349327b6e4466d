"""An entry as servers keep it: ``<life id><stamp><payload>``; see lua/includes/begin_life.lua."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

LIFE = 20
_FLOOR = slice(20, 36)
_VERSION = slice(20, 36)
_FRESH = slice(36, 49)
_KIND = slice(62, 63)
_PAYLOAD = 63

VALUE = b"v"
#: A value that is kept on as stale after its TTL.
KEPT_VALUE = b"k"
TOMBSTONE = b"x"


class Entry(NamedTuple):
    """A value or a tombstone, as one server had it."""

    raw: bytes

    @property
    def version(self) -> bytes:
        """Digits of equal length: the greater one is the newer."""
        return self.raw[_VERSION]

    @property
    def stamp(self) -> bytes:
        """Version, times and kind, which are the same on every server."""
        return self.raw[LIFE:_PAYLOAD]

    @property
    def payload(self) -> bytes:
        """The encoded value."""
        return self.raw[_PAYLOAD:]

    @property
    def is_value(self) -> bool:
        """False for a tombstone."""
        return self.raw[_KIND] != TOMBSTONE

    @property
    def never_stale(self) -> bool:
        """Whether it is a value that is gone as soon as it is no longer fresh."""
        return self.raw[_KIND] == VALUE

    def fresh_at(self, now_ms: float) -> bool:
        """Whether its TTL is not over yet by the server's clock."""
        return self.never_stale or now_ms < int(self.raw[_FRESH])


def present(life: bytes | None, raw: bytes | None) -> Entry | None:
    """What a server has under a key, if that belongs to its present life and was not cleared."""
    if life is None or raw is None or raw[:LIFE] != life[:LIFE] or raw[_VERSION] <= life[_FLOOR]:
        return None
    return Entry(raw)


def tombstone_stamp(version: bytes, longest_ms: int) -> bytes:
    """The stamp of a tombstone of this version."""
    gone = int(version) // 1000 + longest_ms
    return b"%s%013d%013d%s" % (version, gone, gone, TOMBSTONE)


def plain_payloads(life: bytes, raws: Sequence[bytes | None]) -> list[bytes] | None:
    """The payloads, if all of these are values of this life that are never stale; None if any is not.

    One step for each of them: this is what most reads of many keys do.
    """
    if None in raws:
        return None
    entries = cast(Sequence[bytes], raws)
    # The life comes first and the version second, so what holds for the least and the greatest holds for all.
    least, greatest, life_id = min(entries), max(entries), life[:LIFE]
    if least[:LIFE] != life_id or greatest[:LIFE] != life_id or least[_VERSION] <= life[_FLOOR]:
        return None
    value = VALUE[0]
    payloads = [raw[_PAYLOAD:] for raw in entries if raw[_PAYLOAD - 1] == value]
    return payloads if len(payloads) == len(entries) else None
