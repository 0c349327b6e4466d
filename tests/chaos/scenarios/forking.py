"""The fork scenario: prefork nodes, a new child for every task, and a thread that keeps each lease.

A fork in the moment when that thread holds a lock would leave a child that hangs for ever.
"""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.bed.bed import Bed, Wishes, made
from tests.chaos.evidence.verdict import Evidence, judge
from tests.chaos.machines.servers import Server
from tests.chaos.run import drive
from tests.chaos.run.drive import Say

#: Without a new child for so long a pool hangs, in seconds.
_HANGS = 30.0
#: Of the lease, between two heartbeats: often, so that forks come in the middle of one.
_RENEW = 0.05
#: For one child, and for all the rest, at most, in seconds.
_A_CHILD = 0.5
_BESIDES = 60.0
_LOOK = 0.5
#: Between two lines that say how far it is, in children.
_NEWS = 1_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """Tasks that ended, processes that ran them, seconds from first start to last.

    ``longest_gap`` is the most seconds between two starts on one node, or between its last and the end.
    """

    tasks: int
    forks: int
    seconds: float
    longest_gap: float


def wishes(engine: str, nodes: int, slots: int, lease: float) -> Wishes:
    """Nodes that are kept forking."""
    return Wishes(
        engine=engine,
        nodes=nodes,
        slots=slots,
        pools=("prefork",),
        options=("--max-tasks-per-child", "1"),
        producers=0,
        lease=lease,
        renew=lease * _RENEW,
    )


def run(wishes: Wishes, count: int, folder: Path, say: Say) -> Evidence:
    """So many tasks, one after the other in every slot."""
    with made(wishes, folder, Server(folder / "redis")) as bed:
        for number in range(count):
            bed.publish(f"f{number}", "work", 0.0)
        _wait(bed, count, say)
        drive.drain(bed)
        return drive.gather(bed)


def outcome(evidence: Evidence) -> Outcome:
    """The figures."""
    starts = [run.start for run in evidence.runs]
    gaps = (gap for node in {run.node for run in evidence.runs} for gap in _gaps(evidence, node))
    ended = {run.task for run in evidence.runs if run.end is not None}
    forks = len({run.pid for run in evidence.runs})
    return Outcome(len(ended), forks, starts[-1] - starts[0] if starts else 0.0, max(gaps, default=0.0))


def failures(evidence: Evidence, count: int) -> list[str]:
    """What must not be, in words."""
    found, figures = judge(evidence).failures(), outcome(evidence)
    if figures.forks < count:
        found.append(f"only {figures.forks} of {count} children ran a task")
    if figures.longest_gap > _HANGS:
        found.append(f"no task started for {figures.longest_gap:.1f} s")
    if evidence.losses:
        found.append(f"the lease was lost {len(evidence.losses)} times")
    return found


def _gaps(evidence: Evidence, node: str) -> list[float]:
    """A node that hangs while the other goes on has no next start, so the last start of all counts too."""
    starts = [run.start for run in evidence.runs if run.node == node] + [evidence.runs[-1].start]
    return [later - earlier for earlier, later in itertools.pairwise(starts)]


def _wait(bed: Bed, count: int, say: Say) -> None:
    """Until so many children have run, or no new one comes any more: each has a ledger of its own."""
    pause = threading.Event()
    deadline = time.monotonic() + _BESIDES + count * _A_CHILD
    seen, seen_at = 0, time.monotonic()
    while seen < count and time.monotonic() < min(deadline, seen_at + _HANGS):
        pause.wait(_LOOK)
        now = sum(1 for _ in (bed.folder / "runs").iterdir())
        if now // _NEWS > seen // _NEWS:
            say(f"{now} of {count} children")
        if now != seen:
            seen, seen_at = now, time.monotonic()
