"""A node hands back what is placed on it for queues that it does not serve."""

from __future__ import annotations

import pytest

from switchyard.cluster import state as cluster_state
from switchyard.models import Placement, Selector
from tests.support.cluster import Cluster
from tests.support.servers import Server


@pytest.fixture
def cluster(server: Server) -> Cluster:
    cluster = Cluster.on(server)
    cluster.join("a", limit=20, queues=("q", "r"))
    cluster.join("b", queues=("q",))
    return cluster


def hand_back(cluster: Cluster, *serves: str, left: tuple[str, ...] = ()) -> int:
    return cluster.state.hand_back("a", cluster.epochs["a"], serves, left)


@pytest.mark.parametrize("batch", [200, 2])
def test_what_is_placed_for_other_queues_goes_home_in_order(
    cluster: Cluster, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken if tasks of a queue that a node left stand still on it, beside idle nodes."""
    monkeypatch.setattr(cluster_state, "MOVE_MAX", batch)
    for number in range(5):
        cluster.place(f"q{number}", "a")
        cluster.place(f"r{number}", "a", queue="r")
    assert hand_back(cluster, "r") == 5
    assert cluster.shared() == [f"q{number}" for number in range(5)]
    assert cluster.outstanding("a") == 5
    assert cluster.bells("a", "b") == ["a", "b"]
    assert hand_back(cluster) == 5
    assert cluster.outstanding("a") == 0


def test_what_only_this_node_may_run_waits_on_its_wait_list(cluster: Cluster) -> None:
    """Broken if a pinned task is lost to its wait list, or comes to a queue where anybody takes it."""
    cluster.place("m", "a", selector=Selector(node="a"))
    assert hand_back(cluster, "q") == 0
    assert hand_back(cluster, "r") == 1
    [wait] = cluster.state.wait_lists()
    assert cluster.state.client.lrange(wait, 0, -1) == [b"m"]


def test_other_priorities_of_its_queues_stay(cluster: Cluster) -> None:
    """Broken if a task of a served queue is sent away, since a producer uses other steps than the node."""
    cluster.state.place(Placement(("a",), True, strategy="s"), "q", ["q", "q\x06\x164"], 4, "m")
    assert hand_back(cluster, "q") == 0
    assert hand_back(cluster, "q\x06\x16") == 1


def test_a_node_is_not_rung_any_more_for_what_it_left(cluster: Cluster) -> None:
    """Broken if the one bell that a task rings wakes a node that does not serve its queue."""
    state = cluster.state
    assert cluster.claim("a") == []
    state.claim("b", cluster.epochs["b"], 1, ["q"], [["q"]])
    hand_back(cluster, "r", left=("q",))
    assert state.client.smembers(state.keys.idle("q")) == {b"b"}


def test_a_fenced_node_hands_nothing_back(cluster: Cluster) -> None:
    """Broken if a ghost sends home what was placed on the one that has its name now (invariant 3)."""
    cluster.place("m", "a")
    assert cluster.state.hand_back("a", "0", ["r"]) == 0
    assert cluster.outstanding("a") == 1
