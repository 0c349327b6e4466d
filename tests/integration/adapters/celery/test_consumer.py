"""What we rely on in a running Celery worker, in every version of it: on real workers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from celery import Celery

import switchyard
from tests.support.app import make_app
from tests.support.nodes import known, worker
from tests.support.servers import Server
from tests.support.waiting import wait_until

TIMEOUT = 60


@pytest.fixture
def app(clean_valkey: Server) -> Iterator[Celery]:
    app = make_app(clean_valkey.url())
    yield app
    app.close()


def test_the_death_of_a_pools_process_is_seen(app: Celery, clean_valkey: Server, tmp_path: Path) -> None:
    """Broken if a task that kills its process comes back for ever, or its caller waits for ever."""
    env = {"SWITCHYARD_MAX_DELIVERIES": "2"}
    given_up = pytest.raises(switchyard.TaskGivenUp, match="2 nodes or pool processes died")
    with worker(clean_valkey, tmp_path, pool="prefork", slots=1, env=env), given_up:
        app.tasks["crash"].delay().get(timeout=TIMEOUT)


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_what_runs_through_a_lost_connection_runs_once(
    app: Celery, clean_valkey: Server, tmp_path: Path, pool: str
) -> None:
    """Broken if the worker does not say which tasks run: their claims are released, and they run again."""
    ledger = clean_valkey.client(63)
    with worker(clean_valkey, tmp_path, pool=pool, slots=2):
        for i in range(2):
            app.tasks["record"].delay("cut", str(i), 4.0)
        wait_until(lambda: known(clean_valkey, "n1").load.active == 2, "the node says that both run", TIMEOUT)
        clean_valkey.client().client_kill_filter(_type="normal", skipme=True)
        wait_until(lambda: ledger.llen("cut") == 2, "both end", TIMEOUT)
        app.tasks["record"].delay("cut", "2", 0.0)
        wait_until(lambda: b"2" in ledger.lrange("cut", 0, -1), "the node goes on", TIMEOUT)
        assert sorted(ledger.lrange("cut", 0, -1)) == [b"0", b"1", b"2"]
        wait_until(lambda: known(clean_valkey, "n1").outstanding == 0, "all are settled", TIMEOUT)


def cut_off(server: Server, seconds: float) -> None:
    """Close every connection, and let nobody in for a while; shorter than a lease."""
    client = server.client()
    pipeline = client.pipeline(transaction=True)
    pipeline.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    pipeline.execute_command("CLIENT", "PAUSE", int(seconds * 1000), "ALL")
    pipeline.execute()


@pytest.mark.parametrize("pool", ["prefork", "threads", "gevent"])
def test_what_ends_without_a_connection_does_not_run_again(
    app: Celery, clean_valkey: Server, tmp_path: Path, pool: str
) -> None:
    """Broken if an acknowledgement that waits for the connection is not seen: the claim is released."""
    with worker(clean_valkey, tmp_path, pool=pool, slots=2) as node:
        app.tasks["nap"].apply_async((2.0,), ignore_result=True)
        wait_until(lambda: known(clean_valkey, "n1").load.active == 1, "the node says that it runs", TIMEOUT)
        cut_off(clean_valkey, 3.5)
        app.tasks["nap"].delay(0.0).get(timeout=TIMEOUT)
        wait_until(lambda: known(clean_valkey, "n1").outstanding == 0, "all are settled", TIMEOUT)
        assert node.text().count("Task nap[") == 4, "two are received, and succeed"


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo", "gevent"])
def test_what_is_not_due_at_a_lost_connection_runs_once(
    app: Celery, clean_valkey: Server, tmp_path: Path, pool: str
) -> None:
    """Broken if the worker forgets a task with an ETA and runs it all the same, or holds it for ever."""
    ledger = clean_valkey.client(63)
    with worker(clean_valkey, tmp_path, pool=pool, slots=2) as node:
        app.tasks["record"].apply_async(("due", "1"), countdown=6)
        wait_until(lambda: "received" in node.text(), "the node has it", TIMEOUT)
        clean_valkey.client().client_kill_filter(_type="normal", skipme=True)
        wait_until(lambda: ledger.llen("due") > 0, "it runs", TIMEOUT)
        wait_until(lambda: known(clean_valkey, "n1").outstanding == 0, "all are settled", TIMEOUT)
        assert node.text().count("succeeded") == 1


def test_after_a_lost_connection_no_task_waits_behind_one_that_runs(
    app: Celery, clean_valkey: Server, tmp_path: Path
) -> None:
    """Broken if the pool takes the process of a running task for a free one."""
    ledger = clean_valkey.client(63)
    with worker(clean_valkey, tmp_path, pool="prefork", slots=2) as node:
        app.tasks["record"].delay("behind", "long", 12.0)
        wait_until(lambda: known(clean_valkey, "n1").load.active == 1, "the node says that it runs", TIMEOUT)
        clean_valkey.client().client_kill_filter(_type="normal", skipme=True)
        wait_until(lambda: "Connected to" in node.text().partition(" ready.")[2], "it is connected again", 60)
        for i in range(4):
            app.tasks["record"].delay("behind", str(i), 0.0)
        wait_until(lambda: ledger.llen("behind") == 5, "all end", TIMEOUT)
        assert ledger.lrange("behind", 0, -1) == [b"0", b"1", b"2", b"3", b"long"]


@pytest.mark.timing
@pytest.mark.parametrize("pool", ["prefork", "threads", "gevent"])
def test_a_full_node_that_lost_its_connection_rests(
    app: Celery, clean_valkey: Server, tmp_path: Path, pool: str
) -> None:
    """Broken if a worker without room never reads that its connection is closed, and looks again at once."""
    with worker(clean_valkey, tmp_path, pool=pool, slots=1) as node:
        app.tasks["nap"].delay(6.0)
        wait_until(lambda: known(clean_valkey, "n1").load.active == 1, "the node says that it runs", TIMEOUT)
        clean_valkey.client().client_kill_filter(_type="normal", skipme=True)
        time.sleep(1)
        process = psutil.Process(node.process.pid)
        before = sum(process.cpu_times()[:2])
        time.sleep(2)
        assert sum(process.cpu_times()[:2]) - before < 0.5


@pytest.mark.timing
@pytest.mark.parametrize("pool", ["threads", "solo", "prefork"])
def test_a_slot_that_comes_free_is_used_at_once(
    app: Celery, clean_valkey: Server, tmp_path: Path, pool: str
) -> None:
    """Broken if an acknowledgement waits for the event loop, which waits for messages: 0.15 s a task."""
    with worker(clean_valkey, tmp_path, pool=pool, slots=2):
        app.tasks["nap"].delay(0.01).get(timeout=TIMEOUT)
        began = time.monotonic()
        for result in [app.tasks["nap"].delay(0.01) for _ in range(100)]:
            result.get(timeout=TIMEOUT)
        assert time.monotonic() - began < 7
