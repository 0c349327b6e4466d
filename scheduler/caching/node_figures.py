"""How warm a node is: counts that all its processes add to, for its heartbeat, the commands and Prometheus."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from multiprocessing import current_process
from typing import TYPE_CHECKING

from scheduler.models import Node

if TYPE_CHECKING:
    from prometheus_client.core import Metric


class Cell(IntEnum):
    """What is counted. The last two say how it is now; the others only grow."""

    NEAR_HITS = 0
    NEAR_MISSES = 1
    NEAR_DROPPED = 2
    ANSWERED = 3
    JOINED = 4
    PUBLISHED = 5
    NEAR_ENTRIES = 6
    NEAR_BYTES = 7


GAUGES = (Cell.NEAR_ENTRIES, Cell.NEAR_BYTES)

#: Processes of one node with counts of their own; more than this share the last ones.
_PROCESSES = 256
_WIDTH = len(Cell)

# Anonymous and shared: the children of a prefork pool write into the memory that their parent reads. Nobody
# else can see it, it costs nothing until it is used, and it ends with the processes.
_shared = memoryview(mmap.mmap(-1, _PROCESSES * _WIDTH * 8)).cast("Q")
_mine: memoryview | None = None


def cells() -> memoryview:
    """The counts of this process, one place for each :class:`Cell`.

    A pool's child has the place of the child that it replaces, so that its counts go on, and there is only
    one writer. A lock is the caller's: threads that add without one may lose a count.
    """
    global _mine  # noqa: PLW0603 - one per process, as the memory is
    if _mine is None:
        number = min(getattr(current_process(), "index", -1) + 1, _PROCESSES - 1)
        _mine = _shared[number * _WIDTH : (number + 1) * _WIDTH]
        for gauge in GAUGES:
            _mine[gauge] = 0
    return _mine


def _forget_place() -> None:
    global _mine  # noqa: PLW0603
    _mine = None


os.register_at_fork(after_in_child=_forget_place)


def node_figures() -> dict[str, int]:
    """The counts of all processes of this node, by name; empty if nothing was ever counted."""
    sums = {cell.name.lower(): sum(_shared[cell::_WIDTH]) for cell in Cell}
    return sums if any(sums.values()) else {}
