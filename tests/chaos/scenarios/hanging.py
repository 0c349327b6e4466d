"""The scenario of two kinds of silence: a solo pool that works for long, and an event loop that hangs.

Neither answers. The first must keep its lease, the second must not, and its work must move.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from switchyard.cluster.state import State
from switchyard.models import Node, NodeState
from tests.chaos.bed.bed import Bed, Wishes, made, monotonic_offset
from tests.chaos.evidence import ledger, observe
from tests.chaos.evidence.ledger import Run
from tests.chaos.evidence.verdict import Evidence, Hit, judge
from tests.chaos.machines.servers import Server
from tests.chaos.run import drive
from tests.chaos.run.drive import Say
from tests.chaos.run.plan import Kind
from tests.support.waiting import wait_until

_SOLO, _STUCK = "n0", "n1"
_LONG = "long"
#: For a node to notice what it is told, or to be back, in seconds.
_PROMPTLY = 30.0


@dataclass(frozen=True, slots=True)
class Busy:
    """What became of a solo node while it was busy, in seconds; ``meanwhile`` tasks ended elsewhere."""

    seconds: float
    oldest_lease: float
    meanwhile: int


@dataclass(frozen=True, slots=True)
class Hung:
    """What became of a node whose event loop hung, in seconds.

    ``lost_after`` counts from the start of the hang; ``had`` are the tasks that it held when it was lost;
    ``back_after`` counts from the end of the hang.
    """

    seconds: float
    lost_after: float
    lost_at: float
    had: frozenset[str]
    back_after: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """Both, and what moved: seconds from the loss of the hung node to the start of its tasks elsewhere."""

    lease: float
    busy: Busy
    starts: int
    hung: Hung
    moved: tuple[float, ...]


def wishes(lease: float) -> Wishes:
    """A solo node, one to hang, and one more to take over."""
    return Wishes(nodes=3, pools=("solo", "prefork", "threads"), producers=1, lease=lease, renew=lease / 5)


def run(wishes: Wishes, seconds: float, folder: Path, say: Say) -> tuple[Evidence, Outcome]:
    """Under load: solo busy for so many seconds, then the other node's event loop hangs."""
    with made(wishes, folder, Server(folder / "redis")) as bed:
        state = State(bed.client, observe.KEYS)
        say(f"{_SOLO} computes for {seconds:g} s")
        busy = _keep_busy(bed, state, seconds)
        say(f"the event loop of {_STUCK} hangs")
        hung = _hang(bed, state)
        bed.stop_producers()
        drive.drain(bed)
        evidence = drive.gather(bed)
    moved = (_moved(task, evidence.runs, hung.lost_at) for task in hung.had)
    starts = sum(run.task == _LONG for run in evidence.runs)
    there = tuple(sorted(after for after in moved if after is not None))
    return evidence, Outcome(wishes.lease, busy, starts, hung, there)


def failures(evidence: Evidence, outcome: Outcome) -> list[str]:
    """What must not be, in words."""
    found = judge(evidence).failures()
    if any(loss.node == _SOLO for loss in evidence.losses) or outcome.starts != 1:
        found.append(f"the busy solo node lost its lease; its task started {outcome.starts} times")
    if len(outcome.moved) < len(outcome.hung.had) or not outcome.hung.had:
        found.append(f"{len(outcome.moved)} of {len(outcome.hung.had)} tasks of the hung node ran elsewhere")
    return found


def _keep_busy(bed: Bed, state: State, seconds: float) -> Busy:
    bed.publish(_LONG, "compute", seconds, placement={"node": _SOLO})
    wait_until(lambda: _runs(bed, _LONG), "the long task starts", _PROMPTLY)
    begin, oldest = time.monotonic(), 0.0

    def over() -> bool:
        nonlocal oldest
        oldest = max(oldest, _node(state, _SOLO).lease_age)
        return _runs(bed, _LONG)[-1].end is not None

    wait_until(over, "the long task ends", seconds + _PROMPTLY)
    end = time.monotonic()
    runs = ledger.runs(bed.folder / "runs")
    return Busy(
        end - begin, oldest, sum(run.node != _SOLO and begin <= (run.end or 0) <= end for run in runs)
    )


def _hang(bed: Bed, state: State) -> Hung:
    lasts = 3 * bed.wishes.lease + 3
    begin, had = time.monotonic(), observe.held(bed.client, _STUCK)
    bed.app().control.broadcast(
        "block", arguments={"seconds": lasts}, destination=[f"{_STUCK}@{socket.gethostname()}"]
    )

    def lost() -> bool:
        nonlocal had
        had = observe.held(bed.client, _STUCK) or had
        return bool(observe.losses(bed.client, 0.0))

    wait_until(lost, f"{_STUCK} is lost", lasts + _PROMPTLY)
    [loss] = observe.losses(bed.client, monotonic_offset())
    wait_until(lambda: time.monotonic() > begin + lasts, "the hang is over", lasts)
    wait_until(lambda: _node(state, _STUCK).state is NodeState.UP, f"{_STUCK} is back", _PROMPTLY)
    back = time.monotonic() - begin - lasts
    bed.hits.append(Hit(Kind.HANG, _STUCK, begin, begin + lasts, held=had))
    return Hung(lasts, loss.at - begin, loss.at, had, back)


def _moved(task: str, runs: Sequence[Run], since: float) -> float | None:
    """Seconds until the task started elsewhere, None if it did not."""
    starts = (run.start - since for run in runs if run.task == task and run.node != _STUCK)
    return next((after for after in starts if after >= 0), None)


def _runs(bed: Bed, task: str) -> list[Run]:
    return [run for run in ledger.runs(bed.folder / "runs") if run.task == task]


def _node(state: State, name: str) -> Node:
    return next(node for node in state.snapshot() if node.name == name)
