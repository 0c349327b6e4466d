"""What works in Celery works the same with us, on every pool."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import Celery, chain, chord, group
from celery.exceptions import TaskRevokedError
from kombu import Exchange, Queue

from tests.support.nodes import known, node_of, state_of, worker
from tests.support.servers import Server
from tests.support.waiting import wait_until

TIMEOUT = 20


def call(app: Celery, name: str, *args: Any, **options: Any) -> Any:
    """Send a task and wait for its result."""
    return app.tasks[name].apply_async(args, **options).get(timeout=TIMEOUT)


def test_canvas_retry_and_eta_on_every_pool(app: Celery, any_pool: str, clean_valkey: Server) -> None:
    """A pool would not run what stock Celery runs on it, or leave claims behind."""
    add, total = app.tasks["add"], app.tasks["total"]
    assert group(add.s(i, i) for i in range(5))().get(timeout=TIMEOUT) == [0, 2, 4, 6, 8]
    assert chord([add.s(i, i) for i in range(5)])(total.s()).get(timeout=TIMEOUT) == 20
    assert chain(add.s(1, 1), add.s(2), add.s(3))().get(timeout=TIMEOUT) == 7
    assert call(app, "flaky", 2) == 2
    assert call(app, "add", 1, 2, countdown=0.3) == 3
    assert call(app, "add", 1, 2, eta=datetime.now(UTC) + timedelta(seconds=0.3)) == 3
    with pytest.raises(ValueError, match="as asked"):
        call(app, "fail")

    def settled() -> bool:
        node = node_of(clean_valkey, "n1")
        return node is not None and node.outstanding == 0

    wait_until(settled, "every claim is settled")


def test_send_task_by_name_and_links(app: Celery, clean_valkey: Server, tmp_path: Path) -> None:
    """Projects that share no code, or use callbacks, would break."""
    with worker(clean_valkey, tmp_path):
        assert app.send_task("add", (2, 3)).get(timeout=TIMEOUT) == 5
        ledger = clean_valkey.client(63)
        record = app.tasks["record"]
        app.tasks["add"].apply_async((1, 1), link=record.si("linked", "ok"))
        app.tasks["fail"].apply_async(link_error=record.si("failed", "ok"))
        wait_until(lambda: ledger.llen("linked") and ledger.llen("failed"), "both callbacks ran")


def test_expired_and_revoked_tasks_do_not_run(app: Celery, clean_valkey: Server, tmp_path: Path) -> None:
    """Revoking would be ignored, or leave a claim that blocks a slot for ever."""
    with worker(clean_valkey, tmp_path, slots=1):
        # Longer than a busy machine takes to publish two more tasks and to hear of the revoke.
        blocker = app.tasks["nap"].delay(4.0)
        revoked = app.tasks["add"].delay(1, 1)
        expired = app.tasks["add"].apply_async((1, 1), expires=0.2)
        app.control.revoke(revoked.id)
        assert blocker.get(timeout=TIMEOUT) == 4.0
        for result in (revoked, expired):
            with pytest.raises(TaskRevokedError):
                result.get(timeout=TIMEOUT)
        wait_until(lambda: getattr(node_of(clean_valkey, "n1"), "outstanding", 1) == 0, "claims are settled")


def test_a_running_task_can_be_terminated(app: Celery, clean_valkey: Server, tmp_path: Path) -> None:
    """`revoke(terminate=True)` would leave the claim, and the task would run again elsewhere."""
    with worker(clean_valkey, tmp_path, pool="prefork", slots=1):
        result = app.tasks["nap"].delay(60)
        wait_until(lambda: getattr(node_of(clean_valkey, "n1"), "claims", 0) == 1, "the task is claimed")
        wait_until(lambda: app.control.inspect(timeout=1).active()["n1@" + _host()], "the task runs")
        app.control.revoke(result.id, terminate=True, signal="SIGKILL")
        with pytest.raises(TaskRevokedError):
            result.get(timeout=TIMEOUT)
        wait_until(lambda: getattr(node_of(clean_valkey, "n1"), "outstanding", 1) == 0, "claims are settled")


def test_priorities_are_kept(app: Celery, clean_valkey: Server, tmp_path: Path) -> None:
    """Urgent tasks would wait behind others: in Redis 0 is the most urgent, as with stock kombu."""
    record = app.tasks["record"]
    for priority in (9, 6, 3, 0):
        record.apply_async(("order", str(priority)), priority=priority)
    with worker(clean_valkey, tmp_path, slots=1):
        ledger = clean_valkey.client(63)
        wait_until(lambda: ledger.llen("order") == 4, "all four ran")
        assert ledger.lrange("order", 0, -1) == [b"0", b"3", b"6", b"9"]


def test_rate_limits_hold(app: Celery, clean_valkey: Server, tmp_path: Path) -> None:
    """A rate-limited task would hold its slot's claim for ever, or not be limited."""
    with worker(clean_valkey, tmp_path, slots=2):
        app.control.rate_limit("add", "5/s", reply=True, timeout=2)
        results = [app.tasks["add"].delay(i, 0) for i in range(6)]
        assert [result.get(timeout=TIMEOUT) for result in results] == list(range(6))


def test_a_topic_exchange_delivers_a_copy_to_each_queue(
    app: Celery, clean_valkey: Server, tmp_path: Path
) -> None:
    """One of the copies would be lost, or settle the other's claim."""
    topic = Exchange("news", type="topic")
    queues = [Queue("eu", topic, routing_key="news.eu.#"), Queue("all", topic, routing_key="news.#")]
    with worker(clean_valkey, tmp_path, queues="celery", slots=2):
        for queue in queues:
            app.control.add_consumer(
                queue.name, exchange="news", exchange_type="topic", routing_key=queue.routing_key, reply=True
            )
        app.tasks["record"].apply_async(
            ("copies", "x"), exchange=topic, routing_key="news.eu.berlin", declare=queues
        )
        ledger = clean_valkey.client(63)
        wait_until(lambda: ledger.llen("copies") == 2, "both copies ran")
        wait_until(lambda: getattr(node_of(clean_valkey, "n1"), "outstanding", 1) == 0, "both are settled")


def test_consumers_come_and_go_at_run_time(app: Celery, clean_valkey: Server, tmp_path: Path) -> None:
    """Tasks would be placed on a node that no longer serves their queue, and stay there."""
    with worker(clean_valkey, tmp_path):
        app.control.add_consumer("extra", reply=True, timeout=2)
        wait_until(lambda: "extra" in known(clean_valkey, "n1").queues, "the cluster knows the queue")
        assert call(app, "add", 1, 1, queue="extra") == 2
        app.control.cancel_consumer("extra", reply=True, timeout=2)
        app.tasks["add"].apply_async((1, 1), queue="extra")
        wait_until(lambda: clean_valkey.client().llen("extra") == 1, "the task waits on its own queue")
        assert call(app, "add", 2, 2) == 4


def test_purge_reaches_inboxes_too(app: Celery, clean_valkey: Server, tmp_path: Path) -> None:
    """`celery purge` would leave placed tasks that then run after all."""
    with worker(clean_valkey, tmp_path, slots=1):
        app.tasks["nap"].delay(60)
        wait_until(lambda: getattr(node_of(clean_valkey, "n1"), "claims", 0) == 1, "the slot is taken")
        for i in range(5):
            app.tasks["add"].apply_async((i, i), placement={"strategy": "round_robin"})
        wait_until(lambda: getattr(node_of(clean_valkey, "n1"), "inbox", 0) == 5, "five tasks are placed")
        app.tasks["add"].apply_async((1, 1))
        assert app.control.purge() == 6
        assert getattr(node_of(clean_valkey, "n1"), "inbox", -1) == 0


def test_inspect_sees_the_node(app: Celery, clean_valkey: Server, tmp_path: Path) -> None:
    """Flower and operators would see no worker."""
    with worker(clean_valkey, tmp_path, slots=3):
        name = "n1@" + _host()
        inspect = app.control.inspect([name], timeout=3)
        assert inspect.ping() == {name: {"ok": "pong"}}
        stats = inspect.stats()[name]
        assert stats["pool"]["max-concurrency"] == 3
        assert inspect.active_queues()[name][0]["name"] == "celery"
        assert inspect.registered()[name]


def test_broadcast_reaches_every_node(app: Celery, clean_valkey: Server, tmp_path: Path) -> None:
    """Broadcast queues go through pub/sub: a placement must not get in their way."""
    with worker(clean_valkey, tmp_path, "n1"), worker(clean_valkey, tmp_path, "n2"):
        for name in ("n1", "n2"):
            app.control.add_consumer(
                f"bcast.{name}",
                exchange="shout",
                exchange_type="fanout",
                destination=[f"{name}@{_host()}"],
                reply=True,
                timeout=2,
            )
        shout = Exchange("shout", type="fanout")
        ledger = clean_valkey.client(63)

        def both_signed() -> bool:
            # Pub/sub reaches who listens at that moment, and a consumer listens some time after it says so.
            app.tasks["sign"].apply_async(("shouts",), exchange=shout, routing_key="", declare=[shout])
            return set(ledger.lrange("shouts", 0, -1)) == {b"n1", b"n2"}

        wait_until(both_signed, "both nodes ran it")


def test_always_eager_needs_no_server() -> None:
    """Unit tests of users would suddenly want a server."""
    from tests.support.app import make_app

    app = make_app("redis://127.0.0.1:1/0")
    app.conf.task_always_eager = True
    assert app.tasks["add"].apply_async((1, 2), placement={"strategy": "random"}).get() == 3


def test_a_retry_keeps_the_callers_placement(app: Celery, clean_valkey: Server, tmp_path: Path) -> None:
    """A GPU task would be retried on a node without one."""
    gpu = ["--label", "gpu=yes"]
    with worker(clean_valkey, tmp_path, "plain", slots=8), worker(clean_valkey, tmp_path, "gpu", options=gpu):
        wanted = {"labels": {"gpu": "yes"}}
        assert [call(app, "flaky", 2, placement=wanted) for _ in range(5)] == [2] * 5
        done = {node.name: node.load.done for node in state_of(clean_valkey).snapshot()}
        wait_until(
            lambda: {n.name: n.load.done for n in state_of(clean_valkey).snapshot()}["gpu"] == 15,
            f"on gpu: {done}",
        )
        assert known(clean_valkey, "plain").load.done == 0


def test_stock_producer_and_stock_worker_share_the_broker(clean_valkey: Server, tmp_path: Path) -> None:
    """A migration would lose tasks, or need everything switched at once."""
    from tests.support.app import make_app

    stock, ours = make_app(clean_valkey.url(), stock=True), make_app(clean_valkey.url())
    ledger = clean_valkey.client(63)
    with worker(clean_valkey, tmp_path, "n1"), worker(clean_valkey, tmp_path, "old", stock=True):
        for i in range(200):
            (stock if i % 2 else ours).tasks["record"].apply_async(("mixed", str(i), 0.01))
        wait_until(lambda: ledger.llen("mixed") >= 200, "all ran", timeout=30)
        assert {int(value) for value in ledger.lrange("mixed", 0, -1)} == set(range(200))
        assert ledger.llen("mixed") == 200


def _host() -> str:
    import socket

    return socket.gethostname()
