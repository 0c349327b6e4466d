"""The Sentinel scenario: the primary dies under load, the cluster must go on within 15 s."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.chaos import drive
from tests.chaos.bed import Wishes, made
from tests.chaos.drive import Say
from tests.chaos.plan import Fault, Kind, Plan
from tests.chaos.sentinel import Sentinels
from tests.chaos.verdict import Evidence, judge

#: The cluster must go on after so many seconds.
WITHIN = 15.0
#: Load before and after the failover, in seconds.
_BEFORE = 6.0
_AFTER = 25.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """``resumed`` is seconds from the kill to the end of the first task published after it, None if none.

    ``unreplicated`` tasks were acknowledged before the failover and are gone: replication is asynchronous.
    ``lost`` ones were acknowledged by the new primary and are gone all the same.
    """

    resumed: float | None
    unreplicated: tuple[str, ...]
    lost: tuple[str, ...]


def run(wishes: Wishes, folder: Path, say: Say) -> Evidence:
    """One failover under load."""
    fault = Fault(_BEFORE, Kind.FAILOVER, tuple(range(wishes.nodes)), 0.0, 0.0)
    plan = Plan(wishes.seed, _BEFORE + _AFTER, (fault,))
    with made(wishes, folder, Sentinels(folder / "redis")) as bed:
        return drive.through(bed, plan, say)


def outcome(evidence: Evidence) -> Outcome:
    """What the failover cost."""
    hit = next(hit for hit in evidence.hits if hit.kind is Kind.FAILOVER)
    asked = {publish.task: publish.asked for publish in evidence.publishes}
    acked = {publish.task: publish.acked for publish in evidence.publishes}
    ends = (run.end - hit.start for run in evidence.runs if run.end and asked.get(run.task, 0.0) > hit.start)
    lost = judge(evidence).lost
    before = tuple(task for task in lost if (acked[task] or 0.0) <= hit.end)
    return Outcome(min(ends, default=None), before, tuple(sorted(set(lost) - set(before))))
