"""Who may reap: nobody after an outage of the server, everybody where the cluster has kept watch."""

from __future__ import annotations

import pytest

from tests.support.cluster import Cluster
from tests.support.servers import Server

LEASE_MS = 5000
#: Silence of the whole cluster that the nodes of these tests take for an outage.
OUTAGE_MS = 3000


@pytest.fixture
def cluster(server: Server) -> Cluster:
    cluster = Cluster.on(server)
    cluster.join("old")
    cluster.join("gone")
    cluster.expire("gone")
    return cluster


def overdue(cluster: Cluster, name: str) -> tuple[str, ...]:
    """Whom the node's heartbeat names for reaping."""
    return cluster.state.renew(name, cluster.epochs[name], LEASE_MS, ["q"], {}, OUTAGE_MS).overdue


def watched(cluster: Cluster, since: int, last: int) -> None:
    """The cluster's leases were renewed without a gap from ``since`` ms ago until ``last`` ms ago."""
    now = cluster.state.now_ms()
    cluster.state.client.hset(cluster.state.keys.watch, mapping={"since": now - since, "last": now - last})


def test_a_node_that_just_started_reaps_where_others_kept_watch(cluster: Cluster) -> None:
    """With a death every few seconds nobody would be old enough to reap, and tasks would wait for it."""
    watched(cluster, since=LEASE_MS, last=1000)
    cluster.join("fresh")
    assert overdue(cluster, "fresh") == ("gone",)


def test_nobody_is_reaped_in_the_first_lease_time_after_an_outage(cluster: Cluster) -> None:
    """The first node to come back would declare all others dead."""
    watched(cluster, since=60_000, last=OUTAGE_MS + 1000)
    assert overdue(cluster, "old") == ()
    assert overdue(cluster, "old") == ()
    watched(cluster, since=LEASE_MS - 1000, last=1000)
    assert overdue(cluster, "old") == ()


def test_a_missed_heartbeat_is_not_an_outage(cluster: Cluster) -> None:
    """One slow heartbeat of the only survivor would put reaping off by another lease."""
    watched(cluster, since=LEASE_MS, last=OUTAGE_MS - 1000)
    assert overdue(cluster, "old") == ("gone",)


def test_the_first_node_of_a_cluster_waits_a_lease(cluster: Cluster) -> None:
    """A server that came back with old data but without a watch would look like one that was watched."""
    assert overdue(cluster, "old") == ()
