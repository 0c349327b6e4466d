"""How warm a node is: what all its processes count, for its heartbeat and whoever looks."""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from enum import IntEnum

from switchyard.adapters.billiard_pool import child_index
from switchyard.forking import PerProcess, free_after_fork


class Cell(IntEnum):
    """What is counted. The last two say how it is now; the others only grow."""

    NEAR_HITS = 0
    NEAR_MISSES = 1
    NEAR_DROPPED = 2
    FOUND = 3
    ANSWERED = 4
    JOINED = 5
    PUBLISHED = 6
    ERRORS = 7
    REPAIRS = 8
    NEAR_ENTRIES = 9
    NEAR_BYTES = 10


#: What may also shrink.
GAUGES = (Cell.NEAR_ENTRIES, Cell.NEAR_BYTES)

#: Processes of one node with counts of their own; more than this share the last ones.
_PROCESSES = 256
_WIDTH = len(Cell)

# Anonymous and shared: the children of a prefork pool write into the memory that their parent reads. Nobody
# else can see it, it costs nothing until it is used, and it ends with the processes.
_shared = memoryview(mmap.mmap(-1, _PROCESSES * _WIDTH * 8)).cast("Q")
_lock = free_after_fork()


def _take_place() -> memoryview:
    index = child_index()
    number = 0 if index is None else min(index + 1, _PROCESSES - 1)
    place = _shared[number * _WIDTH : (number + 1) * _WIDTH]
    for gauge in GAUGES if number else ():
        place[gauge] = 0  # of the child that was here before
    return place


_mine = PerProcess(_take_place)


def cells() -> memoryview:
    """The counts of this process, one place for each :class:`Cell`.

    A pool's child has the place of the child that it replaces, so that its counts go on and have one writer.
    Whoever adds does it under a lock of its own; two near caches of one process may lose a count.
    """
    return _mine.get()


def count(cell: Cell, by: int = 1) -> None:
    """Add to a count of this process."""
    with _lock:
        cells()[cell] += by


def hit_rates(figures: Mapping[str, int]) -> tuple[float | None, float | None]:
    """Shares of a node's look-ups, 0 to 1, that its own memory answered, and that it or the servers did.

    None if it looked nothing up.
    """
    hits, misses, found = (figures.get(name, 0) for name in ("near_hits", "near_misses", "found"))
    asked = hits + misses
    return (round(hits / asked, 4), round((hits + found) / asked, 4)) if asked else (None, None)


def node_figures() -> dict[str, int]:
    """The counts of all processes of this node, by name; empty if nothing was ever counted."""
    sums = {cell.name.lower(): sum(_shared[cell::_WIDTH]) for cell in Cell}
    return sums if any(sums.values()) else {}
