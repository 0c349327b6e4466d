"""The near cache: encoded values in this process's memory, the warm copy of what the servers hold.

It does no I/O. :mod:`switchyard.cache.near.invalidation` tells it what changed on the servers, and until when
it may be trusted; a value that was read before a change is never put in after it (see :meth:`Near.reserve`).
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from switchyard.node_figures import Cell, cells

#: Bytes of Python objects around a key and its value, roughly: what makes `size` a bound on real memory.
OVERHEAD = 300

# As plain numbers: looking an enumeration's member up costs a tenth of a hit.
_HITS, _MISSES = int(Cell.NEAR_HITS), int(Cell.NEAR_MISSES)


@dataclass(frozen=True, slots=True)
class _Entry:
    value: bytes
    size: int
    until: float


class Near:
    """At most ``entries`` values and ``size`` bytes, the least recently used go first. For any threads."""

    def __init__(self, entries: int, size: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most_entries = entries
        self._most_bytes = size
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._bytes = 0
        self._reserved: dict[str, object] = {}
        self._trusted_until = float("-inf")
        self._cells = cells()

    def get(self, key: str) -> bytes | None:
        """The value, if it is here and known to be true."""
        now = self._clock()
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or now >= entry.until or now >= self._trusted_until:
                self._cells[_MISSES] += 1
                return None
            self._entries.move_to_end(key)
            self._cells[_HITS] += 1
            return entry.value

    def reserve(self, key: str) -> object:
        """Say, before the servers are asked for ``key``, that :meth:`put` will follow, with this token.

        A change of the key in between takes the token away, so that the older value is not kept.
        """
        token = object()
        with self._lock:
            self._reserved[key] = token
        return token

    def put(self, key: str, value: bytes | None, ttl: float, token: object) -> None:
        """Keep what the servers answered for ``ttl`` seconds at most; None is an answer, but not kept."""
        now = self._clock()
        size = len(key) + len(value or b"") + OVERHEAD
        with self._lock:
            untouched = self._reserved.get(key) is token
            if untouched:
                del self._reserved[key]
            if value is None or not untouched or now >= self._trusted_until or size > self._most_bytes:
                return
            self._remove(key)
            self._entries[key] = _Entry(value, size, now + ttl)
            self._grow(1, size)
            while len(self._entries) > self._most_entries or self._bytes > self._most_bytes:
                self._remove(next(iter(self._entries)))

    def drop(self, keys: Iterable[str]) -> None:
        """These keys changed on the servers, or are about to."""
        with self._lock:
            for key in keys:
                self._reserved.pop(key, None)
                if self._remove(key):
                    self._cells[Cell.NEAR_DROPPED] += 1

    def clear(self) -> None:
        """Forget everything, also what is being read now."""
        with self._lock:
            self._cells[Cell.NEAR_DROPPED] += len(self._entries)
            self._grow(-len(self._entries), -self._bytes)
            self._entries.clear()
            self._reserved.clear()

    def trust(self, until: float) -> None:
        """Whatever changed on the servers so far has been dropped; from ``until`` (clock) on, ask them."""
        self._trusted_until = until

    @property
    def trusted(self) -> bool:
        """Whether it answers at all."""
        return self._clock() < self._trusted_until

    def __len__(self) -> int:
        return len(self._entries)

    def _remove(self, key: str) -> bool:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._grow(-1, -entry.size)
        return entry is not None

    def _grow(self, entries: int, size: int) -> None:
        self._bytes += size
        # A child that was forked by somebody else shares its parent's figures: they must not go below zero.
        self._cells[Cell.NEAR_ENTRIES] = max(0, self._cells[Cell.NEAR_ENTRIES] + entries)
        self._cells[Cell.NEAR_BYTES] = max(0, self._cells[Cell.NEAR_BYTES] + size)
