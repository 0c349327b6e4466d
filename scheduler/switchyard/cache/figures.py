"""What a cache has counted in this process."""

from __future__ import annotations

from dataclasses import dataclass

from switchyard.forking import free_after_fork
from switchyard.node_figures import Cell, count


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts since the cache was made.

    ``hits`` and ``misses`` are keys asked for; ``errors`` are tries at a server that failed; ``repairs`` are
    entries that were written again to a server which lacked them.
    """

    hits: int = 0
    misses: int = 0
    errors: int = 0
    repairs: int = 0


class Counters:
    """Counts what threads do at the same time; errors and repairs for the node's heartbeat as well."""

    def __init__(self) -> None:
        self._lock = free_after_fork()
        self._hits = self._misses = self._errors = self._repairs = 0

    def looked_up(self, hits: int, misses: int) -> None:
        """So many keys were found and not found."""
        with self._lock:
            self._hits += hits
            self._misses += misses

    def failed(self) -> None:
        """A server did not do what it was asked."""
        with self._lock:
            self._errors += 1
        count(Cell.ERRORS)

    def repaired(self, entries: int) -> None:
        """So many entries were written again to a server that lacked them."""
        with self._lock:
            self._repairs += entries
        count(Cell.REPAIRS, entries)

    def figures(self) -> Figures:
        """The counts of now."""
        with self._lock:
            return Figures(self._hits, self._misses, self._errors, self._repairs)
