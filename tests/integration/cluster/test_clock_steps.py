"""The server's clock steps by an hour: leases, and who may be reaped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from switchyard.models import NodeState
from tests.integration.clocks import SteppedServer, stepped_server
from tests.support.cluster import Cluster
from tests.support.waiting import wait_until

LEASE_MS = 400
OUTAGE_MS = 300
HOUR = 3600.0


@pytest.fixture
def server() -> Iterator[SteppedServer]:
    with stepped_server() as server:
        yield server


@pytest.fixture
def cluster(server: SteppedServer) -> Cluster:
    """Two nodes that have kept watch for some leases."""
    cluster = Cluster.on(server)
    for name in ("lives", "dies"):
        cluster.join(name, lease_ms=LEASE_MS)
    deadline = time.monotonic() + 4 * LEASE_MS / 1000
    while time.monotonic() < deadline:
        assert beat(cluster, "lives") == beat(cluster, "dies") == ()
        time.sleep(0.05)
    return cluster


def beat(cluster: Cluster, name: str) -> tuple[str, ...]:
    """A heartbeat of a node; whom it names for reaping."""
    renewal = cluster.state.renew(name, cluster.epochs[name], LEASE_MS, ["q"], {"lease": LEASE_MS}, OUTAGE_MS)
    assert not renewal.fenced
    return renewal.overdue


def reaps(cluster: Cluster) -> Callable[[], bool]:
    """A heartbeat of the survivor, which reaps whom it is told to."""

    def look() -> bool:
        overdue = beat(cluster, "lives")
        assert "lives" not in overdue
        return any(not cluster.state.reap(name, 5).alive for name in overdue)

    return look


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_dead_node_is_reaped_within_some_leases_of_a_step(
    cluster: Cluster, server: SteppedServer, hours: int
) -> None:
    """Broken if after a step of the server's clock nobody's tasks come back until it has caught up."""
    cluster.place("m", "dies")
    server.step(hours * HOUR)
    wait_until(reaps(cluster), "the dead node is reaped", 5 * LEASE_MS / 1000)
    assert cluster.shared() == ["m"]


@pytest.mark.parametrize("hours", [-1, 1])
def test_no_healthy_node_is_reaped_because_of_a_step(
    cluster: Cluster, server: SteppedServer, hours: int
) -> None:
    """Broken if a step of the server's clock makes every task of the cluster run twice."""
    server.step(hours * HOUR)
    for _ in range(20):
        for name in ("lives", "dies"):
            for overdue in beat(cluster, name):
                assert cluster.state.reap(overdue, 5).alive
        time.sleep(0.05)
    assert {node.state for node in cluster.state.snapshot()} == {NodeState.UP}


def test_a_node_is_not_live_for_an_hour_because_its_lease_is_from_the_future(
    cluster: Cluster, server: SteppedServer
) -> None:
    """Broken if tasks are placed on a dead node, or its name is refused, until the clock has caught up."""
    server.step(-HOUR)
    wait_until(lambda: beat(cluster, "lives") == ("dies",), "it is told who is dead", 5 * LEASE_MS / 1000)
    [node] = [node for node in cluster.state.snapshot() if node.name == "dies"]
    assert node.state is NodeState.LOST
    assert cluster.place("m", "dies") is None
    assert cluster.join("dies", lease_ms=LEASE_MS, incarnation="another") != "held"
