"""A task that was handed out before says so, whatever it came back for."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.cluster import Cluster
from tests.support.servers import Server

#: How a claim, by its receipt, comes back from node "a".
Return = Callable[[Cluster, str], object]


def release(cluster: Cluster, receipt: str, message: str = "", front: bool = True) -> None:
    cluster.state.release("a", cluster.epochs["a"], [(receipt, message)], front)


def leave(cluster: Cluster, receipt: str) -> None:
    cluster.state.reap("a", 5, cluster.epochs["a"], left=True)
    cluster.join("a")


def crash(cluster: Cluster, receipt: str) -> None:
    cluster.state.crash("a", cluster.epochs["a"], receipt, "m", 5)


WAYS: dict[str, tuple[Return, int]] = {
    "reconnect": (release, 0),
    "rejected": (lambda cluster, receipt: release(cluster, receipt, "m", front=False), 0),
    "left": (leave, 0),
    "crash": (crash, 1),
}


def claimed(cluster: Cluster) -> tuple[str, int, int]:
    """The only message: its receipt, its deaths, and how often it was handed out before."""
    reply = cluster.state.claim("a", cluster.epochs["a"], 1, ["q"], [["q"]])
    [claim] = reply.claims
    return claim.receipt, claim.deaths, claim.deliveries


@pytest.mark.parametrize("way", WAYS)
def test_what_comes_back_counts_its_deliveries(clean_valkey: Server, way: str) -> None:
    """Broken if a task that may have run is not marked redelivered, or is blamed for what was no death."""
    cluster = Cluster.on(clean_valkey)
    cluster.join("a")
    cluster.place("m")
    come_back, deaths = WAYS[way]
    receipt, *counts = claimed(cluster)
    assert counts == [0, 0]
    for times in (1, 2, 3):
        come_back(cluster, receipt)
        receipt, *counts = claimed(cluster)
        assert counts == [times * deaths, times]
    cluster.state.settle("a", cluster.epochs["a"], [receipt])
    assert clean_valkey.client().hlen(cluster.state.keys.deaths) == 0


def test_returns_do_not_add_up_to_deaths(clean_valkey: Server) -> None:
    """Broken if a task that was given back many times is given up at its first death, or names no node."""
    cluster = Cluster.on(clean_valkey)
    cluster.join("a")
    cluster.place("m")
    receipt, *_ = claimed(cluster)
    for _ in range(12):
        release(cluster, receipt)
        receipt, *_ = claimed(cluster)
    crash(cluster, receipt)
    receipt, *counts = claimed(cluster)
    assert counts == [1, 13]
    assert cluster.state.crash("a", cluster.epochs["a"], receipt, "m", 2) == 2
    [dead] = cluster.state.dead_tasks(cluster.state.dead_receipts())
    assert (dead.deaths, dead.nodes) == (2, ("a", "a"))
