"""A short chaos with a seed, on every change."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.bed.bed import Wishes
from tests.chaos.evidence import report
from tests.chaos.evidence.verdict import judge
from tests.chaos.machines import network
from tests.chaos.machines.servers import Durability
from tests.chaos.run import drive, plan
from tests.chaos.run.plan import OFFERED, Fault, Kind
from tests.chaos.scenarios import failover

SEED = 11
LEASE = 2.0


@pytest.mark.timeout(300)
def test_nothing_is_lost_whatever_happens(tmp_path: Path) -> None:
    """Two kinds of pool under full load, every kind of fault."""
    what = plan.draw(SEED, OFFERED, nodes=3, lease=LEASE, every=3.5, seconds=75.0, kills=0)
    assert {fault.kind for fault in what.faults} >= {Kind.KILL_NODE, Kind.PAUSE, Kind.RESTART_REDIS}
    wishes = Wishes(nodes=3, seed=SEED, lease=LEASE, renew=LEASE / 4, partition_by=network.best())
    evidence = drive.run(wishes, what, tmp_path / "run", print)
    verdict = judge(evidence)
    report.show({"switchyard": (evidence, verdict)}, SEED)
    assert verdict.failures() == []
    assert verdict.published > 1000


@pytest.mark.timeout(200)
def test_the_cluster_survives_a_failover(tmp_path: Path) -> None:
    """A primary dies under load: what replication had is executed, and the cluster goes on in time."""
    wishes = Wishes(nodes=2, seed=SEED, lease=LEASE, renew=0.5)
    evidence = failover.run(wishes, 1, tmp_path / "run", print)
    [cost] = failover.outcomes(evidence)
    assert cost.in_time
    assert failover.lost_for_good(evidence) == []


@pytest.mark.timeout(120)
def test_a_crash_of_the_servers_machine_costs_its_last_second_at_most(tmp_path: Path) -> None:
    """What a server with appendfsync everysec forgets would take older tasks along."""
    crashes = tuple(Fault(at, Kind.CRASH_REDIS, (0, 1), 0.0, 0.0) for at in (2.0, 7.0))
    wishes = Wishes(nodes=2, seed=SEED, lease=LEASE, renew=LEASE / 4, appendfsync=Durability.EVERYSEC)
    evidence = drive.run(wishes, plan.Plan(SEED, 9.0, crashes), tmp_path / "run", print)
    verdict = judge(evidence)
    assert verdict.failures() == []
    assert verdict.forgotten
