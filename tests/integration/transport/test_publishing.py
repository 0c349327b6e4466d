"""Publishing through Celery: one round trip, to the right place, in batches, under every kind of producer."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from celery import Celery

import switchyard
from switchyard.adapters.kombu_redis.features import EXPIRES_QUEUES
from tests.integration.versions import needs_batches, needs_expiry
from tests.support.app import make_app
from tests.support.cluster import LEASE_MS, Cluster
from tests.support.replies import text, texts
from tests.support.servers import Server


@pytest.fixture
def cluster(server: Server) -> Cluster:
    return Cluster.on(server)


@pytest.fixture
def app(server: Server) -> Iterator[Celery]:
    app = make_app(server.url(), switchyard.Settings(refresh=60))
    yield app
    app.close()


def join(cluster: Cluster, name: str, slots: int, queues: Sequence[str] = ("celery",)) -> None:
    """A node that serves these queues."""
    fields: dict[str, str | int] = {"slots": slots, "limit": slots, "lease": LEASE_MS}
    fields |= {"queues": json.dumps(queues), "labels": "{}"}
    cluster.epochs[name] = cluster.state.register(name, f"{name}-1", LEASE_MS, queues, fields).epoch


def inboxes(cluster: Cluster) -> dict[str, int]:
    return {node.name: node.inbox for node in cluster.state.snapshot()}


def sent(server: Server, publish: Any) -> int:
    """Commands that reached the server over the wire while ``publish`` ran."""
    with server.client().monitor() as monitor:
        lines = monitor.listen()
        publish()
        server.client().echo("the end")
        count = 0
        for line in lines:
            if "the end" in line["command"]:
                return count
            if line["client_type"] != "lua" and not line["command"].startswith(("CLIENT", "HELLO")):
                count += 1
    raise AssertionError("the monitor ended early")


@pytest.mark.parametrize("strategy", ["least_load", "round_robin", "random"])
def test_a_publish_is_exactly_one_round_trip(
    app: Celery, cluster: Cluster, server: Server, strategy: str
) -> None:
    """Publishing would be slower than stock, or read the nodes once per task."""
    join(cluster, "a", 1000)
    noop = app.tasks["noop"]
    with app.producer_or_acquire() as producer:
        noop.apply_async(producer=producer)

        def publish() -> None:
            for _ in range(50):
                noop.apply_async(producer=producer, placement={"strategy": strategy})

        assert sent(server, publish) == 50
    assert inboxes(cluster) == {"a": 51}


def test_round_robin_is_exact_over_the_cluster(app: Celery, cluster: Cluster) -> None:
    """300 tasks on 3 nodes would not be 100/100/100."""
    for name in ("a", "b", "c"):
        join(cluster, name, 1)
    for _ in range(300):
        app.tasks["noop"].apply_async(placement={"strategy": "round_robin"})
    assert inboxes(cluster) == {"a": 100, "b": 100, "c": 100}


def test_random_reaches_every_node_evenly(app: Celery, cluster: Cluster) -> None:
    """The draw would not survive the way through router and script."""
    for name in ("a", "b", "c"):
        join(cluster, name, 1)
    for _ in range(600):
        app.tasks["noop"].apply_async(placement={"strategy": "random"})
    counts = inboxes(cluster).values()
    assert sum(counts) == 600
    # 99.9999 % quantile of chi-square with two degrees of freedom.
    assert sum((count - 200) ** 2 / 200 for count in counts) < 27.63


def test_eight_producers_at_once_never_pass_a_limit(server: Server, cluster: Cluster) -> None:
    """Producers with stale snapshots would herd, and a full node get tasks while another is free."""
    slots = {"small": 1, "medium": 4, "large": 20}
    for name, count in slots.items():
        join(cluster, name, count)

    def produce() -> None:
        app = make_app(server.url(), switchyard.Settings(refresh=60))
        for _ in range(10):
            app.tasks["noop"].apply_async()
        app.close()

    threads = [threading.Thread(target=produce) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert inboxes(cluster) == slots
    assert cluster.state.client.llen("celery") == 80 - 25


@needs_batches
def test_a_batch_places_and_loses_nothing(app: Celery, cluster: Cluster, server: Server) -> None:
    """kombu's Producer.batch would lose tasks, or fail on a server that does not know our script."""
    join(cluster, "a", 10)
    server.client().script_flush()
    with app.producer_or_acquire() as producer, producer.batch(max_size=16):
        for _ in range(50):
            app.tasks["noop"].apply_async(producer=producer)
    assert inboxes(cluster) == {"a": 10}
    assert cluster.state.client.llen("celery") == 40


@needs_batches
def test_a_batch_survives_that_the_server_forgets_scripts_between_two_flushes(
    app: Celery, cluster: Cluster, server: Server
) -> None:
    """One that restarts would leave part of a batch in and part out: repeating it doubles tasks."""
    join(cluster, "a", 4)
    with app.producer_or_acquire() as producer, producer.batch(max_size=10) as batch:
        for number in range(25):
            app.tasks["noop"].apply_async(producer=producer)
            if number % 7 == 0:
                batch.flush()
                server.client().script_flush()
    assert inboxes(cluster) == {"a": 4}
    assert cluster.state.client.llen("celery") == 21


@needs_batches
def test_a_batch_of_large_messages_stops_the_server_for_no_longer(app: Celery, cluster: Cluster) -> None:
    """One script would write them all, 200 MB perhaps: longer than a lease."""

    def scripts() -> int:
        stats = cluster.state.client.info("commandstats")
        return int(stats.get("cmdstat_evalsha", {"calls": 0})["calls"])

    join(cluster, "a", 1)
    app.tasks["noop"].apply_async()
    before = scripts()
    with app.producer_or_acquire() as producer, producer.batch():
        for _ in range(8):
            app.send_task("noop", ("x" * 1_000_000,), producer=producer)
    assert cluster.state.client.llen("celery") == 8
    assert scripts() - before >= 4


def test_a_message_on_the_shared_queue_is_kombus_own(app: Celery, server: Server) -> None:
    """A stock worker could not run what we publish."""
    app.tasks["add"].apply_async((1, 2), placement={"strategy": "least_load"})
    message = json.loads(text(server.client().rpop("celery")))
    assert message["headers"]["task"] == "add"
    assert "placement" not in message["properties"]
    assert message["properties"]["delivery_info"] == {"exchange": "", "routing_key": "celery"}


def test_a_task_that_no_node_may_run_waits_and_is_found_again(
    app: Celery, cluster: Cluster, server: Server
) -> None:
    """It would be lost, or run on a node that it must not run on."""
    join(cluster, "plain", 10)
    for placement in ({"labels": {"gpu": "h100"}}, {"node": "gpu-9"}):
        app.tasks["noop"].apply_async(placement=placement)
    assert inboxes(cluster) == {"plain": 0}
    assert server.client().llen("celery") == 0
    with app.connection_for_write() as connection:
        assert connection.default_channel.queue_declare("celery", passive=True).message_count == 2


def test_a_global_key_prefix_is_kept_apart(server: Server) -> None:
    """Two projects on one database would see each other's nodes."""
    app = make_app(server.url(), switchyard.Settings(refresh=60))
    app.conf.broker_transport_options = {"global_keyprefix": "shop-"}
    app.tasks["noop"].apply_async()
    app.tasks["noop"].apply_async()
    client = server.client()
    assert client.llen("shop-celery") == 2
    assert {key[:5] for key in texts(client.keys("*"))} == {"shop-"}
    app.close()


@needs_batches
def test_a_global_key_prefix_is_a_batchs_too(server: Server) -> None:
    """Tasks that are published in a batch would land where no node of the project looks."""
    app = make_app(server.url(), switchyard.Settings(refresh=60))
    app.conf.broker_transport_options = {"global_keyprefix": "shop-"}
    with app.producer_or_acquire() as producer, producer.batch():
        app.tasks["noop"].apply_async(producer=producer)
    client = server.client()
    assert client.llen("shop-celery") == 1
    assert {key[:5] for key in texts(client.keys("*"))} == {"shop-"}
    app.close()


@needs_expiry
def test_an_expiring_queue_stays_stock(app: Celery, cluster: Cluster, server: Server) -> None:
    """A queue with x-expires would be outlived by tasks in inboxes."""
    from kombu import Queue

    join(cluster, "a", 10)
    app.amqp.queues.add(Queue("brief", expires=30))
    app.tasks["noop"].apply_async(queue="brief")
    assert server.client().pttl("brief") > 0


@pytest.mark.skipif(EXPIRES_QUEUES, reason="this kombu expires queues: the test above says what comes of it")
def test_where_no_queue_expires_it_is_one_like_all_others(
    app: Celery, cluster: Cluster, server: Server
) -> None:
    """Tasks of a queue with x-expires would fail, or wait on it while a node that serves it is free."""
    from kombu import Queue

    join(cluster, "a", 10, queues=("celery", "brief"))
    app.amqp.queues.add(Queue("brief", expires=30))
    app.tasks["noop"].apply_async(queue="brief")
    assert inboxes(cluster) == {"a": 1}
