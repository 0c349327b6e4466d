"""What is counted in Redis for the dashboard, in the scripts that run anyway."""

from __future__ import annotations

import pytest
from celery import Celery

import switchyard
from switchyard.models import Counters, Selector
from tests.integration.versions import needs_batches
from tests.support.app import make_app
from tests.support.cluster import LEASE_MS, Cluster
from tests.support.servers import Server


@pytest.fixture
def cluster(server: Server) -> Cluster:
    return Cluster.on(server)


def test_placements_are_counted_by_strategy_outcome_and_node(cluster: Cluster) -> None:
    """Nobody could tell which strategy loads a node, or that one always overflows."""
    cluster.join("a", limit=2)
    for task in ("one", "two", "three"):
        cluster.place(task, "a", strategy="least_load")
    cluster.place("four", "a", bounded=False, strategy="random")
    cluster.place("five", "a", strategy="least_load", selector=Selector(node="b"))
    assert cluster.state.placements(["a", "nobody"]) == {"a": {"least_load": 2, "random": 1}, "nobody": {}}
    assert cluster.state.counters() == Counters(overflowed={"least_load": 2})


@needs_batches
def test_a_batch_counts_each_of_its_messages(cluster: Cluster, server: Server) -> None:
    """Who publishes in batches would be missing from the figures."""
    fields: dict[str, str | int] = {"slots": 3, "limit": 3, "lease": LEASE_MS, "queues": '["celery"]'}
    cluster.state.register("a", "a-1", LEASE_MS, ["celery"], fields)
    app: Celery = make_app(server.url(), switchyard.Settings(refresh=60))
    with app.producer_or_acquire() as producer, producer.batch():
        for _ in range(10):
            app.tasks["noop"].apply_async(producer=producer)
    app.close()
    assert cluster.state.placements(["a"]) == {"a": {"least_load": 3}}
    assert cluster.state.counters().overflowed == {"least_load": 7}


def test_what_was_counted_of_a_node_goes_with_it(cluster: Cluster) -> None:
    """Workers with generated names would fill Redis with their counts."""
    cluster.join("a", limit=5)
    cluster.place("one", "a")
    cluster.state.reap("a", 5, cluster.epochs["a"], left=True)
    assert cluster.state.placements(["a"]) == {"a": {}}
    cluster.join("a", incarnation="next")
    assert cluster.state.placements(["a"]) == {"a": {}}


def test_restored_given_up_and_possible_duplicates_are_counted(cluster: Cluster) -> None:
    """After an accident nobody could say how much it cost."""
    for death in (1, 2):
        cluster.join(f"n{death}")
        cluster.place("poison", f"n{death}", bounded=False)
        cluster.claim(f"n{death}")
        cluster.expire(f"n{death}")
        cluster.state.reap(f"n{death}", max_deliveries=3 - death)
    cluster.join("b", limit=3)
    for task in ("one", "two"):
        cluster.place(task, "b", bounded=False)
    (late, _), *_ = cluster.claim("b", 2, lists=())
    cluster.expire("b")
    cluster.state.reap("b", max_deliveries=5)
    cluster.join("c", limit=3)
    cluster.claim("c", 3)
    cluster.state.settle("b", cluster.epochs["b"], [late])
    assert cluster.state.counters() == Counters(restored=3, given_up=1, possible_duplicates=1)


def test_a_message_that_can_not_be_read_counts_as_given_up(cluster: Cluster) -> None:
    """The counter would not agree with the list of the dead."""
    cluster.join("a")
    cluster.place("garbage", "a")
    [(receipt, _)] = cluster.claim("a")
    cluster.state.bury("a", cluster.epochs["a"], receipt, "can't be read")
    assert cluster.state.counters().given_up == 1
    assert cluster.state.dead_count() == 1


def test_only_new_events_are_read(cluster: Cluster) -> None:
    """A dashboard would read the whole log of events every second."""
    cluster.join("a")
    [up] = cluster.state.events()
    assert cluster.state.events(after=up.id) == []
    cluster.state.drain("a")
    cluster.state.resume("a")
    assert [event.kind for event in cluster.state.events(after=up.id)] == ["resumed", "drained"]


def test_the_dead_are_read_together(cluster: Cluster) -> None:
    """A list of two hundred would take as many round trips, or name nodes that do not exist."""
    for number in (1, 2):
        cluster.join("a b")
        cluster.place(f"poison {number}", "a b")
        cluster.claim("a b")
        cluster.expire("a b")
        cluster.state.reap("a b", 1)
    receipts = cluster.state.dead_receipts()
    found = cluster.state.dead_tasks([*receipts, "999"])
    assert [dead.message for dead in found] == [b"poison 2", b"poison 1"]
    assert found[0].nodes == ("a b",)
