"""Each Lua operation keeps what its header promises, on every server we support."""

from __future__ import annotations

import pytest
from switchyard.cluster.replies.answers import Crash
from switchyard.models import NodeState, Selector

from tests.support.cluster import Cluster
from tests.support.replies import texts
from tests.support.servers import Server
from tests.support.waiting import wait_until


@pytest.fixture
def cluster(server: Server) -> Cluster:
    return Cluster.on(server)


def test_a_placed_message_is_in_one_inbox_and_nowhere_else(cluster: Cluster) -> None:
    """A task would run twice, or never."""
    cluster.join("a")
    assert cluster.place("m1", "a") == "a"
    assert cluster.shared() == []
    assert [message for _, message in cluster.claim("a", 5)] == ["m1"]
    assert cluster.claim("a", 5) == []


def test_a_bounded_placement_stops_at_the_limit(cluster: Cluster) -> None:
    """A busy node would be given tasks that idle ones could start (invariant 2)."""
    cluster.join("a", limit=2)
    assert [cluster.place(f"m{i}", "a") for i in range(3)] == ["a", "a", None]
    assert cluster.outstanding("a") == 2
    assert cluster.shared() == ["m2"]


def test_claims_count_against_the_limit_until_they_are_settled(cluster: Cluster) -> None:
    """A node that runs tasks would look free."""
    cluster.join("a", limit=1)
    cluster.place("m1", "a")
    [(receipt, _)] = cluster.claim("a")
    assert cluster.place("m2", "a") is None
    assert cluster.state.settle("a", cluster.epochs["a"], [receipt]).settled == 1
    assert cluster.outstanding("a") == 0


def test_an_unbounded_placement_goes_to_the_drawn_node_all_the_same(cluster: Cluster) -> None:
    """The textbook strategies would not keep their distributions."""
    cluster.join("a", limit=1)
    assert [cluster.place(f"m{i}", "a", bounded=False) for i in range(5)] == ["a"] * 5


def test_placement_falls_through_full_lost_and_draining_nodes(cluster: Cluster) -> None:
    """One stale candidate would hide the free node behind it."""
    for name in ("full", "lost", "draining", "free"):
        cluster.join(name)
    cluster.place("m0", "full")
    cluster.expire("lost")
    cluster.state.drain("draining")
    assert cluster.place("m1", "full", "lost", "draining", "unheard-of", "free") == "free"


def test_nothing_overtakes_what_waits_on_the_shared_queue(cluster: Cluster) -> None:
    """Tasks would start out of order when a slot comes free in the wrong moment (invariant 5)."""
    cluster.join("a", limit=1)
    cluster.place("m1", "a")
    cluster.place("m2", "a")
    [(receipt, _)] = cluster.claim("a")
    cluster.state.settle("a", cluster.epochs["a"], [receipt])
    assert cluster.place("m3", "a") is None
    assert cluster.shared() == ["m2", "m3"]


def test_inbox_comes_first_then_the_lists_in_their_groups(cluster: Cluster) -> None:
    """Priorities would not be kept."""
    cluster.join("a", limit=5)
    cluster.state.client.lpush("q\x06\x163", "low")
    cluster.state.client.lpush("q", "high")
    cluster.place("placed", "a", bounded=False)
    claimed = cluster.state.claim("a", cluster.epochs["a"], 5, ["q"], [["q"], ["q\x06\x163"]])
    assert [claim.message for claim in claimed.claims] == [b"placed", b"high", b"low"]
    assert [claim.home for claim in claimed.claims] == ["q", "q", "q\x06\x163"]


def test_queues_of_one_priority_take_turns(cluster: Cluster) -> None:
    """A busy queue would starve the others that the node serves."""
    cluster.join("a", limit=4)
    for i in range(4):
        cluster.state.client.lpush("q", f"q{i}")
        cluster.state.client.lpush("r", f"r{i}")
    claimed = cluster.state.claim("a", cluster.epochs["a"], 4, ["q", "r"], [["q", "r"]])
    assert [claim.message for claim in claimed.claims] == [b"q0", b"r0", b"q1", b"r1"]


def test_a_node_that_found_nothing_is_rung_when_a_task_is_left_on_the_queue(cluster: Cluster) -> None:
    """An idle node would sleep through its poll interval while a task waits (invariant 4)."""
    cluster.join("a")
    assert cluster.claim("a") == []
    cluster.place("m1")
    assert cluster.state.client.llen(cluster.state.keys.bell("a")) == 1


def test_a_bell_holds_one_token_however_often_it_rings(cluster: Cluster) -> None:
    """A node would wake once for each of thousands of tasks that it took in one claim."""
    cluster.join("a", limit=100)
    for i in range(50):
        cluster.place(f"m{i}", "a")
    assert cluster.state.client.llen(cluster.state.keys.bell("a")) == 1


def test_drain_hands_the_inbox_back_in_order_and_stops_claiming(cluster: Cluster) -> None:
    """Work would be stranded on a node taken out of service, or run out of order."""
    cluster.join("a", limit=5)
    for i in range(4):
        cluster.place(f"m{i}", "a")
    [(receipt, _)] = cluster.claim("a")
    cluster.state.client.lpush("q", "later")
    assert cluster.state.drain("a") == 3
    assert cluster.shared() == ["m1", "m2", "m3", "later"]
    assert cluster.claim("a") == []
    assert cluster.state.settle("a", cluster.epochs["a"], [receipt]).settled == 1
    assert cluster.state.resume("a")
    assert [message for _, message in cluster.claim("a")] == ["m1"]


def test_drain_and_resume_of_an_unknown_node_say_so(cluster: Cluster) -> None:
    """A misspelt node name would seem to have been drained."""
    assert cluster.state.drain("nobody") is None
    assert not cluster.state.resume("nobody")


def test_released_messages_stand_at_the_front_in_their_order(cluster: Cluster) -> None:
    """A node that stops would send its unstarted tasks to the end of the queue."""
    cluster.join("a", limit=3)
    for i in range(4):
        cluster.state.client.lpush("q", f"m{i}")
    receipts = [receipt for receipt, _ in cluster.claim("a", 3)]
    assert cluster.state.release("a", cluster.epochs["a"], [(receipt, "") for receipt in receipts]) == 3
    assert cluster.shared() == ["m0", "m1", "m2", "m3"]


def test_a_released_message_may_go_to_the_back_and_be_changed(cluster: Cluster) -> None:
    """A task that rejects itself with requeue would spin at the head of its queue."""
    cluster.join("a")
    for name in ("m0", "m1"):
        cluster.state.client.lpush("q", name)
    [(receipt, _)] = cluster.claim("a")
    cluster.state.release("a", cluster.epochs["a"], [(receipt, "m0 again")], front=False)
    assert cluster.shared() == ["m1", "m0 again"]


def test_reap_leaves_a_live_node_alone(cluster: Cluster) -> None:
    """Nodes would declare each other dead."""
    cluster.join("a")
    cluster.place("m1", "a")
    assert cluster.state.reap("a", 5).alive
    assert cluster.outstanding("a") == 1


def test_reap_gives_everything_back_in_order_claims_first(cluster: Cluster) -> None:
    """A killed node's tasks would be lost, or run after younger ones."""
    cluster.join("a", limit=10)
    for i in range(6):
        cluster.place(f"m{i}", "a")
    cluster.claim("a", 3)
    cluster.state.client.lpush("q", "later")
    cluster.expire("a")
    reaped = cluster.state.reap("a", 5)
    assert (reaped.restored, reaped.given_up) == (6, 0)
    assert cluster.shared() == ["m0", "m1", "m2", "m3", "m4", "m5", "later"]


def test_deaths_of_pool_processes_and_nodes_are_counted_together(cluster: Cluster) -> None:
    """A task that kills what runs it would go on for ever if it varies what it kills."""
    cluster.join("a")
    cluster.place("m", "a")
    [(receipt, _)] = cluster.claim("a")
    assert cluster.state.crash("a", cluster.epochs["a"], receipt, "m again", 3) is Crash.GIVEN_BACK
    [claim] = cluster.state.claim("a", cluster.epochs["a"], 1, ["q"], [["q"]]).claims
    assert (claim.message, claim.deaths) == (b"m again", 1)
    cluster.state.release("a", cluster.epochs["a"], [(claim.receipt, "m and again")], front=False)
    cluster.claim("a")
    cluster.expire("a")
    cluster.state.reap("a", 3)
    cluster.join("b")
    [(receipt, _)] = cluster.claim("b")
    assert cluster.state.crash("b", cluster.epochs["b"], receipt, "and again", 3) is Crash.GIVEN_UP
    dead = cluster.state.dead(receipt)
    assert dead is not None
    assert (dead.nodes, dead.message) == (("a", "a", "b"), b"m and again")
    assert cluster.shared() == []


def test_a_server_that_lost_its_last_writes_gives_no_number_twice(cluster: Cluster) -> None:
    """After a crash a node would settle another task's claim with an old receipt, and that task be lost."""
    cluster.join("a", limit=9)
    epoch = cluster.epochs["a"]
    state = cluster.state
    state.client.rpush("q", "m1", "m0")
    before = [int(receipt) for receipt, _ in cluster.claim("a", 2)]
    crashed_at = state.now_ms()
    state.client.set(state.keys.seq, 1)
    state.client.set(state.keys.epoch, 1)
    wait_until(lambda: state.now_ms() > crashed_at, "a restart takes a millisecond")
    cluster.place("m2", "a")
    state.client.rpush("q", "m3")
    after = [int(receipt) for receipt, _ in cluster.claim("a", 2)]
    assert max(before) < min(after)
    assert len({*before, *after}) == 4
    cluster.join("b")
    assert int(cluster.epochs["b"]) > int(epoch)


def test_nothing_that_a_fenced_node_sends_changes_the_cluster(cluster: Cluster) -> None:
    """A node that comes back from a long pause would take or settle what others have now (invariant 3)."""
    for name in ("a", "b"):
        cluster.join(name, limit=5)
    cluster.place("m1", "a")
    [(receipt, _)] = cluster.claim("a")
    cluster.expire("a")
    cluster.state.reap("a", 5)
    [(other, _)] = cluster.claim("b")
    cluster.state.client.lpush("q", "m2")
    epoch = cluster.epochs["a"]
    assert cluster.state.claim("a", epoch, 5, ["q"], [["q"]]).answer == "fenced"
    assert cluster.state.renew("a", epoch, 1000, ["q"], {}).fenced
    assert cluster.state.release("a", epoch, [(receipt, "")]) == 0
    settlement = cluster.state.settle("a", epoch, [receipt])
    assert (settlement.fenced, settlement.cancelled, settlement.possible_duplicates) == (True, 0, 1)
    assert cluster.shared() == ["m2"]
    assert cluster.state.settle("b", cluster.epochs["b"], [other]).settled == 1


def test_a_late_settle_cancels_a_copy_that_nobody_claimed_yet(cluster: Cluster) -> None:
    """A task that did finish would run a second time although there was time to stop it."""
    cluster.join("a")
    cluster.place("m1", "a")
    [(receipt, _)] = cluster.claim("a")
    cluster.expire("a")
    cluster.state.reap("a", 5)
    settlement = cluster.state.settle("a", cluster.epochs["a"], [receipt])
    assert (settlement.cancelled, settlement.possible_duplicates) == (1, 0)
    assert cluster.shared() == []


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
