"""The cache's operations on one server as commands to send: the only Python that names its scripts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from switchyard.cache.keys import CacheKeys
from switchyard.cache.ring.entry import LIFE
from switchyard.cache.store import Lifetime
from switchyard.lua import script

#: A command, or one that is packed already.
Command = tuple[Any, ...] | bytes

#: Missed writes that one server keeps notes of; whoever missed more starts afresh: some 2 MB.
NOTES_MAX = 10_000
#: Keys whose place in a packed command and whose owners are remembered, which costs a tenth of working them
#: out: some 3 MB each.
REMEMBERED = 16_384
#: How long a server counts as whole without a client that says so, in ms (10 minutes): see healing.py.
WHOLE_MS = 600_000
#: How long a client may be silent while it fills a server, in ms.
FILLING_MS = 10_000
#: Keys or notes that one step of a scan looks at.
SCAN_COUNT = 500

_SCRIPTS = (
    "cache/admit",
    "cache/put",
    "cache/copy",
    "cache/note",
    "cache/drop_notes",
    "cache/clear",
    "cache/release",
)


@dataclass(frozen=True, slots=True)
class Admission:
    """What a server says of itself when it is looked at."""

    life: bytes
    whole: bool
    now_ms: int

    @property
    def age_ms(self) -> int:
        """How long the server's life has lasted."""
        return self.now_ms - int(self.life[9:LIFE], 16)


class Operations:
    """The commands of one cache: ``ring`` tells its ring of servers from any other."""

    def __init__(self, keys: CacheKeys, ring: str, longest_ttl: float) -> None:
        self.keys = keys
        self.longest_ms = int(longest_ttl * 1000)
        self._whole = keys.whole(ring)
        self._filling = keys.filling(ring)
        self._get_life = _packed("MGET") + _packed(keys.life)
        self._packed_entry = lru_cache(REMEMBERED)(lambda key: _packed(keys.entry(key)))

    def loads(self) -> list[Command]:
        """Makes a server know the scripts."""
        return [("SCRIPT", "LOAD", script(name).source) for name in _SCRIPTS]

    def admit(self, ended: bytes = b"") -> Command:
        """Look at the server, and begin a new life if this one is to end; see ``read_admission``."""
        return _call("cache/admit", (self.keys.life, self._whole, self.keys.missed), ended, WHOLE_MS)

    def get(self, keys: Sequence[str]) -> Command:
        """Life and entries."""
        return b"*%d\r\n%b%b" % (len(keys) + 2, self._get_life, b"".join(map(self._packed_entry, keys)))

    def put(
        self, key: str, lifetime: Lifetime, kind: bytes, payload: bytes, above: bytes, until_ms: int
    ) -> Command:
        """Write an entry until then by the server's clock; the reply is its stamp, or ``b""`` if too late."""
        return _call(
            "cache/put",
            (self.keys.life, self.keys.entry(key)),
            lifetime.fresh_ms(),
            int(lifetime.stale * 1000),
            kind,
            payload,
            above,
            until_ms,
        )

    def copy(self, key: str, stamp: bytes, payload: bytes, life: bytes = b"") -> Command:
        """Write an entry of this stamp; the reply is the version that the server has, or ``b""``."""
        return _call("cache/copy", (self.keys.life, self.keys.entry(key)), stamp, payload, life)

    def miss(self, server: str, key: str, version: bytes, life: bytes) -> Command:
        """Note that a server missed a write."""
        return _call(
            "cache/note", (self.keys.missed,), server, key, version, life, NOTES_MAX, self.longest_ms
        )

    def restart(self, server: str, life: bytes) -> Command:
        """Note that a server must start a new life if it is still in this one."""
        return ("HSET", self.keys.missed, server, life)

    def notes(self, cursor: bytes) -> Command:
        """Some notes."""
        return ("HSCAN", self.keys.missed, cursor, "COUNT", SCAN_COUNT)

    def drop_notes(self, notes: Sequence[bytes]) -> Command:
        """Drop notes, given as field, value, field, value."""
        return _call("cache/drop_notes", (self.keys.missed,), *notes)

    def scan(self, cursor: bytes) -> Command:
        """Names of some entries."""
        return ("SCAN", cursor, "MATCH", self.keys.entries + "*", "COUNT", SCAN_COUNT)

    def claim(self, key: str, token: str, hold: float) -> Command:
        """Claim a computation."""
        return ("SET", self.keys.claim(key), token, "NX", "PX", max(1, int(hold * 1000)))

    def release(self, key: str, token: str) -> Command:
        """Give a claim back."""
        return _call("cache/release", (self.keys.claim(key),), token)

    def clear(self, floor: int) -> Command:
        """Forget every entry up to this version."""
        return _call("cache/clear", (self.keys.life,), floor)

    def claim_filling(self, token: str) -> Command:
        """Claim the filling of a server."""
        return ("SET", self._filling, token, "NX", "PX", FILLING_MS)

    def go_on_filling(self) -> Command:
        """Prolong the claim."""
        return ("PEXPIRE", self._filling, FILLING_MS)

    def end_filling(self) -> Command:
        """Give the claim back."""
        return ("DEL", self._filling)

    def whole(self, life: bytes) -> Command:
        """The server has been given all that it owns, in this life."""
        return ("SET", self._whole, life[:LIFE], "PX", WHOLE_MS)


def read_admission(reply: list[Any]) -> Admission:
    """What ``admit`` was answered."""
    return Admission(bytes(reply[0]), bool(reply[1]), int(reply[2]))


def _packed(argument: str) -> bytes:
    encoded = argument.encode()
    return b"$%d\r\n%b\r\n" % (len(encoded), encoded)


def _call(name: str, keys: Sequence[str], *args: str | bytes | int) -> Command:
    return ("EVALSHA", script(name).sha, len(keys), *keys, *args)
