"""The Sentinel scenario: the primary dies under load, again and again; the cluster must go on within 15 s."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.chaos.bed.bed import Wishes, made
from tests.chaos.evidence.verdict import Evidence, Hit, judge
from tests.chaos.machines.sentinel import Sentinels
from tests.chaos.run import drive
from tests.chaos.run.drive import Say
from tests.chaos.run.plan import Fault, Kind, Plan

#: The cluster must go on after so many seconds.
WITHIN = 15.0
#: Load before the first failover and after each, in seconds; the killed server must be in step again.
_BEFORE = 6.0
_AFTER = 25.0
#: A replica on loopback is never further behind, in seconds: what was acknowledged earlier must be there.
_BEHIND = 1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one failover cost.

    ``promoted`` is seconds from the kill until the replica was the primary, ``resumed`` until the end of the
    first task published after it, None if none. ``unreplicated`` tasks were acknowledged shortly before the
    kill and are gone: replication is asynchronous.
    """

    promoted: float
    resumed: float | None
    unreplicated: tuple[str, ...]

    @property
    def in_time(self) -> bool:
        """Whether the cluster went on soon enough."""
        return self.resumed is not None and self.resumed <= WITHIN


def run(wishes: Wishes, failovers: int, folder: Path, say: Say) -> Evidence:
    """So many failovers under load, each once the server killed before is in step again."""
    order = tuple(range(wishes.nodes))
    faults = tuple(
        Fault(_BEFORE + number * _AFTER, Kind.FAILOVER, order, 0.0, 0.0) for number in range(failovers)
    )
    plan = Plan(wishes.seed, _BEFORE + failovers * _AFTER, faults)
    with made(wishes, folder, Sentinels(folder / "redis")) as bed:
        return drive.through(bed, plan, say)


def outcomes(evidence: Evidence) -> list[Outcome]:
    """What each failover cost."""
    lost = judge(evidence).lost
    return [_outcome(evidence, hit, lost) for hit in evidence.hits if hit.kind is Kind.FAILOVER]


def lost_for_good(evidence: Evidence) -> list[str]:
    """Tasks that are gone though replication had long had them, or the new primary acknowledged them."""
    excused = {task for outcome in outcomes(evidence) for task in outcome.unreplicated}
    return sorted(set(judge(evidence).lost) - excused)


def failures(evidence: Evidence, failovers: int) -> list[str]:
    """What must not be, in words."""
    costs = outcomes(evidence)
    found = [failure for failure in judge(evidence).failures() if "tasks lost" not in failure]
    found += [f"lost after a failover: {task}" for task in lost_for_good(evidence)]
    found += [
        f"failover {number} of {failovers}: the cluster did not go on within {WITHIN:g} s"
        for number, cost in enumerate(costs, 1)
        if not cost.in_time
    ]
    return found


def _outcome(evidence: Evidence, hit: Hit, lost: tuple[str, ...]) -> Outcome:
    asked = {publish.task: publish.asked for publish in evidence.publishes}
    acked = {publish.task: publish.acked or 0.0 for publish in evidence.publishes}
    ends = (run.end - hit.start for run in evidence.runs if run.end and asked.get(run.task, 0.0) > hit.start)
    late = tuple(task for task in lost if hit.start - _BEHIND <= acked[task] <= hit.end)
    return Outcome(hit.end - hit.start, min(ends, default=None), late)
