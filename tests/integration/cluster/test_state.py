"""Each Lua operation keeps what its header promises, on every server we support."""

from __future__ import annotations

import pytest

from switchyard.cluster.replies.answers import Crash
from tests.support.cluster import Cluster
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


def test_thousands_of_empty_queues_are_not_looked_at_one_by_one(cluster: Cluster) -> None:
    """Each claim of a node with a queue for each customer would stop the server for tens of milliseconds."""
    cluster.join("n1", limit=10)
    queues = [f"customer {number}" for number in range(2000)]
    client = cluster.state.client
    # At the ends of what is looked at together, and two in one place.
    full = [queues[at] for at in (0, 99, 100, 101, 1999)]
    for queue in full:
        client.lpush(queue, f"{queue} first", f"{queue} second")
    before = client.info("commandstats").get("cmdstat_rpop", {"calls": 0})["calls"]
    claimed = cluster.state.claim("n1", cluster.epochs["n1"], 20, queues, [queues], fair=True)
    assert [claim.message.decode() for claim in claimed.claims] == [
        f"{queue} {which}" for which in ("first", "second") for queue in full
    ]
    assert client.info("commandstats")["cmdstat_rpop"]["calls"] - before < 1000


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
