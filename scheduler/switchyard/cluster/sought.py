"""Which of the tasks that were given up on are meant, where there are too many to name each."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from switchyard.cluster.as_json import DeadSummary, summarize
from switchyard.cluster.buried import Buried
from switchyard.models import DeadTask

#: Entries that one round trip reads: a message may be large.
_READ = 100
#: Receipts that one round trip asks for.
_RECEIPTS = 10_000


@dataclass(frozen=True, slots=True)
class Sought:
    """What a task must be like; None and an empty text ask for nothing. Ages are in seconds.

    ``task`` is a pattern as of files (``shop.*``), ``reason`` a part of it, in capitals or not.
    """

    queue: str = ""
    task: str = ""
    reason: str = ""
    older: float | None = None
    newer: float | None = None

    def matches(self, dead: DeadSummary, now: float) -> bool:
        """Whether this task is one of them, ``now`` in seconds since the epoch."""
        age = now - dead.at
        return (
            (not self.queue or dead.queue == self.queue)
            and (not self.task or fnmatchcase(dead.task or "", self.task))
            and self.reason.lower() in dead.reason.lower()
            and (self.older is None or age >= self.older)
            and (self.newer is None or age <= self.newer)
        )


@dataclass(frozen=True, slots=True)
class Page:
    """Some of them, the latest first, and where to go on among all the dead; None at their end."""

    dead: tuple[tuple[DeadSummary, DeadTask], ...]
    following: int | None


def page(state: Buried, sought: Sought, start: int, limit: int, examined: int) -> Page:
    """Up to ``limit`` of them from the dead behind ``start`` on, after a look at ``examined`` at most."""
    receipts = state.dead_receipts(examined + 1, start)
    found: list[tuple[DeadSummary, DeadTask]] = []
    for number, dead in enumerate(_all_of(state, receipts[:examined]), start):
        if dead is None or not sought.matches(summary := summarize(state.keys, dead), time.time()):
            continue
        if len(found) == limit:
            return Page(tuple(found), number)
        found.append((summary, dead))
    return Page(tuple(found), start + examined if len(receipts) > examined else None)


def receipts(state: Buried) -> list[str]:
    """Those of all the dead, the latest first."""
    every: dict[str, None] = {}
    while some := state.dead_receipts(_RECEIPTS, len(every)):
        # One that is buried meanwhile moves the others on.
        if not any(receipt not in every for receipt in some):
            break
        every |= dict.fromkeys(some)
    return list(every)


def search(state: Buried, sought: Sought, among: Sequence[str]) -> Iterator[str | None]:
    """For each of these receipts: itself if it is one of them, else None."""
    if sought == Sought():
        yield from among
        return
    for receipt, dead in zip(among, _all_of(state, among), strict=True):
        meant = dead is not None and sought.matches(summarize(state.keys, dead), time.time())
        yield receipt if meant else None


def _all_of(state: Buried, receipts: Sequence[str]) -> Iterator[DeadTask | None]:
    for at in range(0, len(receipts), _READ):
        some = receipts[at : at + _READ]
        known = {dead.receipt: dead for dead in state.dead_tasks(some)}
        yield from (known.get(receipt) for receipt in some)
