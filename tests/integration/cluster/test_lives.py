"""Operations on nodes that come, die and leave, and on whom they ring."""

from __future__ import annotations

import pytest

from switchyard.models import NodeState, Selector
from tests.support.cluster import Cluster
from tests.support.replies import texts
from tests.support.servers import Server


@pytest.fixture
def cluster(server: Server) -> Cluster:
    return Cluster.on(server)


def test_a_message_that_nodes_keep_dying_on_is_given_up(cluster: Cluster) -> None:
    """A poison task would take the cluster down, node after node."""
    cluster.state.client.lpush("q", "poison")
    for death in range(1, 4):
        name = f"n{death}"
        cluster.join(name)
        claimed = cluster.state.claim(name, cluster.epochs[name], 1, ["q"], [["q"]])
        assert [claim.deaths for claim in claimed.claims] == [death - 1]
        cluster.expire(name)
        reaped = cluster.state.reap(name, 3)
    assert reaped.given_up == 1
    assert cluster.shared() == []
    [receipt] = texts(cluster.state.client.zrange(cluster.state.keys.dead, 0, -1))
    entry = cluster.state.client.hgetall(cluster.state.keys.dead_entry(receipt))
    assert entry[b"message"] == b"poison"
    assert entry[b"home"] == b"q"


def test_a_settled_message_takes_its_death_count_along(cluster: Cluster) -> None:
    """The count of deaths would grow for ever, and a later equal message would inherit it."""
    cluster.join("a")
    cluster.place("m1", "a")
    cluster.claim("a")
    cluster.expire("a")
    cluster.state.reap("a", 5)
    cluster.join("b")
    [(receipt, _)] = cluster.claim("b")
    cluster.state.settle("b", cluster.epochs["b"], [receipt])
    assert cluster.state.client.hlen(cluster.state.keys.deaths) == 0


def test_a_live_name_is_refused_and_a_dead_one_taken_over(cluster: Cluster) -> None:
    """Two processes would share one name, or a restart would have to wait for the lease."""
    cluster.join("a", incarnation="one")
    cluster.place("m1", "a")
    refused = cluster.state.register("a", "two", 1000, ["q"], {})
    assert refused.answer == "held"
    assert refused.held_ms > 0
    known_dead = cluster.state.register("a", "two", 1000, ["q"], {}, dead_incarnation="one")
    assert known_dead.answer == "reap"
    assert cluster.state.reap("a", 5, known_dead.epoch).restored == 1
    assert cluster.state.register("a", "two", 1000, ["q"], {}, dead_incarnation="one").answer == "new"
    assert cluster.shared() == ["m1"]


def test_the_same_incarnation_keeps_its_claims(cluster: Cluster) -> None:
    """A short loss of the connection would give running tasks to others."""
    cluster.join("a", incarnation="one")
    cluster.place("m1", "a")
    cluster.claim("a")
    epoch = cluster.epochs["a"]
    assert cluster.join("a", incarnation="one") == "kept"
    assert cluster.epochs["a"] == epoch
    assert cluster.outstanding("a") == 1


def test_a_constrained_message_waits_on_its_own_list(cluster: Cluster) -> None:
    """A task for a GPU node would be claimed by any node, or be lost when none is there."""
    cluster.join("plain", limit=5)
    selector = Selector(labels=(("gpu", "h100"),))
    assert cluster.place("m1", selector=selector) is None
    assert cluster.claim("plain", 5) == []
    [wait] = cluster.state.wait_lists()
    cluster.join("gpu", limit=5)
    assert [message for _, message in cluster.claim("gpu", 5, lists=(wait,))] == ["m1"]
    cluster.expire("gpu")
    cluster.state.reap("gpu", 5)
    assert cluster.shared() == []
    assert cluster.state.client.lrange(wait, 0, -1) == [b"m1"]


def test_a_node_that_leaves_is_gone_and_a_lost_one_is_remembered(cluster: Cluster) -> None:
    """Operators could not tell a clean stop from a crash."""
    for name in ("left", "lost"):
        cluster.join(name)
    cluster.state.reap("left", 5, cluster.epochs["left"], left=True)
    cluster.expire("lost")
    cluster.state.reap("lost", 5)
    assert [(node.name, node.state) for node in cluster.state.snapshot()] == [("lost", NodeState.LOST)]


def test_purge_empties_lists_and_inboxes_of_these_homes_only(cluster: Cluster) -> None:
    """`celery purge` would leave placed tasks behind, or take other queues' tasks along."""
    cluster.join("a", limit=9)
    for i in range(3):
        cluster.place(f"m{i}", "a")
    cluster.state.client.lpush("q", "m3")
    cluster.state.client.lpush("other", "kept")
    assert cluster.state.purge(["q"]) == 4
    assert cluster.outstanding("a") == 0
    assert cluster.state.client.llen("other") == 1


def test_an_unreadable_message_is_set_aside_whole(cluster: Cluster) -> None:
    """A message that is not JSON would be lost or block its queue."""
    cluster.join("a")
    cluster.state.client.lpush("q", b"\xff not json")
    claimed = cluster.state.claim("a", cluster.epochs["a"], 1, ["q"], [["q"]])
    receipt = claimed.claims[0].receipt
    assert cluster.state.bury("a", cluster.epochs["a"], receipt, "not JSON")
    entry = cluster.state.client.hgetall(cluster.state.keys.dead_entry(receipt))
    assert entry[b"message"] == b"\xff not json"
    assert cluster.outstanding("a") == 0


def test_a_node_that_is_gone_is_not_rung(cluster: Cluster) -> None:
    """Names of nodes that left would pile up, and be rung instead of an idle one (invariant 4)."""
    for name in ("a", "b", "c", "d", "e", "z"):
        cluster.join(name)
        assert cluster.claim(name) == []
    for name in ("a", "b", "c"):
        cluster.state.reap(name, 5, cluster.epochs[name], left=True)
    for name in ("d", "e"):
        cluster.expire(name)
        cluster.state.reap(name, 5)
    assert cluster.state.client.smembers(cluster.state.keys.idle("q")) == {b"z"}
    cluster.place("m1")
    assert cluster.state.client.llen(cluster.state.keys.bell("z")) == 1


@pytest.mark.parametrize("at_once", [True, False])
def test_an_idle_node_is_rung_however_many_stale_names_stand_before_it(
    cluster: Cluster, at_once: bool
) -> None:
    """Broken if a task left on its queue waits for a poll interval beside an idle node (invariant 4)."""
    names = [f"n{i:02}" for i in range(40)]
    for name in names:
        cluster.join(name)
        assert cluster.claim(name) == []
    for name in names[1:]:
        cluster.state.drain(name)
    for bell in cluster.bells(*names):
        cluster.state.client.delete(cluster.state.keys.bell(bell))
    if at_once:
        assert cluster.place_all(["m1"]) == 1
    else:
        assert cluster.place("m1") is None
    assert cluster.bells(*names) == ["n00"]


def test_a_batch_rings_as_many_idle_nodes_as_it_leaves_tasks(cluster: Cluster) -> None:
    """Broken if three tasks wait for one node while two others have nothing to do (invariant 4)."""
    names = ["a", "b", "c", "d", "e"]
    for name in names:
        cluster.join(name)
        assert cluster.claim(name) == []
    cluster.state.drain("a")
    assert cluster.place_all(["m1", "m2", "m3"]) == 3
    assert len(cluster.bells(*names)) == 3
    assert cluster.shared() == ["m1", "m2", "m3"]


def test_a_batch_fills_the_candidates_in_turn_and_leaves_the_rest(cluster: Cluster) -> None:
    """Broken if a batch overfills a node, or one message of it goes twice or nowhere (invariants 1 and 2)."""
    cluster.join("a", limit=2)
    cluster.join("b", limit=1)
    assert cluster.place_all([f"m{i}" for i in range(5)], "gone", "a", "b") == 2
    assert [message for _, message in cluster.claim("a", 9, lists=())] == ["m0", "m1"]
    assert [message for _, message in cluster.claim("b", 9, lists=())] == ["m2"]
    assert cluster.shared() == ["m3", "m4"]


@pytest.mark.parametrize(("stopping", "state"), [(True, NodeState.UP), (False, NodeState.DRAINING)])
def test_an_operators_drain_outlives_a_crash_and_a_nodes_own_does_not(
    cluster: Cluster, stopping: bool, state: NodeState
) -> None:
    """A node killed while it was stopping would come back drained, or a drained one take tasks again."""
    cluster.join("a", incarnation="one")
    cluster.state.drain("a", stopping)
    [node] = cluster.state.snapshot()
    assert node.state is NodeState.DRAINING
    cluster.expire("a")
    cluster.state.reap("a", 5)
    cluster.join("a", incarnation="two")
    [node] = cluster.state.snapshot()
    assert node.state is state
