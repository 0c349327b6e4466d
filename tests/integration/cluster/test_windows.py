"""No look at the cluster has a window that hides the rest, and none costs what it does not need."""

from __future__ import annotations

import pytest

from switchyard.models import Selector
from tests.support.cluster import LEASE_MS, Cluster
from tests.support.servers import Server

MANY = 1_100


@pytest.fixture
def cluster(server: Server) -> Cluster:
    return Cluster.on(server)


def leave_waiting(cluster: Cluster, count: int) -> None:
    """So many wait lists with a task each."""
    for number in range(count):
        cluster.place("m", selector=Selector(node=f"other{number}"))


def many_nodes(cluster: Cluster) -> list[str]:
    names = [f"n{number}" for number in range(MANY)]
    for name in names:
        cluster.join(name)
    return names


def test_a_snapshot_shows_every_node(cluster: Cluster) -> None:
    """Broken if nodes beyond the first thousand get no work and are seen by nobody."""
    names = many_nodes(cluster)
    assert sorted(node.name for node in cluster.state.snapshot()) == sorted(names)


def test_the_size_of_a_queue_counts_every_inbox_to_its_end(cluster: Cluster) -> None:
    """Broken if a queue looks empty, or short, for the tasks that are placed."""
    names = many_nodes(cluster)
    for name in (names[0], names[-1]):
        cluster.place("m", name)
    for number in range(MANY):
        cluster.place(f"m{number}", names[5], bounded=False)
    for number in range(MANY):
        cluster.place("m", selector=Selector(node=f"other{number}"))
    assert cluster.state.size(["q"]) == 2 + 2 * MANY


def heartbeat_cost(cluster: Cluster, name: str, beats: int = 40) -> float:
    """Us of the server for a heartbeat."""
    for _ in range(10):
        cluster.state.renew(name, cluster.epochs[name], LEASE_MS, ["q"], {})
    cluster.state.client.config_resetstat()
    for _ in range(beats):
        cluster.state.renew(name, cluster.epochs[name], LEASE_MS, ["q"], {})
    usec: float = cluster.state.client.info("commandstats")["cmdstat_evalsha"]["usec_per_call"]
    return usec


@pytest.mark.timing
def test_wait_lists_of_others_do_not_make_a_heartbeat_dear(cluster: Cluster) -> None:
    """Broken if some hundreds of labels and pinned nodes cost the server more than all the rest."""
    cluster.join("a")
    few = min(heartbeat_cost(cluster, "a") for _ in range(3))
    leave_waiting(cluster, 600)
    assert min(heartbeat_cost(cluster, "a") for _ in range(3)) < 3 * few
