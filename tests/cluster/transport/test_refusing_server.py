"""A server that refuses writes for a while, as one does that has lost its replicas, its disk or its role."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery
from kombu.exceptions import OperationalError

from tests.support import servers
from tests.support.app import make_app
from tests.support.nodes import WorkerProcess, is_up, known, state_of, worker
from tests.support.servers import Server
from tests.support.waiting import wait_until

LEASE = 3.0
#: Longer than two leases.
REFUSES_S = 9.0
TASKS = 40


@pytest.fixture
def server() -> Iterator[Server]:
    """A server of the test's own: what it does to it must not hit others."""
    with servers.redis_server(servers.free_port(), ["--enable-protected-configs", "yes"]) as mine:
        yield mine


@pytest.fixture
def app(server: Server) -> Iterator[Celery]:
    app = make_app(server.url())
    yield app
    app.close()


@contextmanager
def no_replicas(server: Server) -> Iterator[None]:
    """It waits for a replica before it takes a write."""
    server.client().config_set("min-replicas-to-write", 1)
    yield
    server.client().config_set("min-replicas-to-write", 0)


@contextmanager
def is_a_replica(server: Server) -> Iterator[None]:
    """It was made a replica, of nobody who answers; what it has stays."""
    server.client().replicaof("127.0.0.1", str(servers.free_port()))
    yield
    server.client().replicaof("NO", "ONE")


@contextmanager
def cannot_save(server: Server) -> Iterator[None]:
    """Its disk is full."""
    client: Any = server.client()
    client.config_set("dir", "/proc")
    client.config_set("save", "3600 1")
    client.set("x", 1)
    client.bgsave()
    wait_until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err", "a save fails")
    yield
    client.config_set("save", "")


@contextmanager
def is_full(server: Server) -> Iterator[None]:
    """It has no memory left for writes."""
    server.client().config_set("maxmemory", 1)
    yield
    server.client().config_set("maxmemory", 0)


@contextmanager
def is_busy(server: Server) -> Iterator[None]:
    """A script of somebody else's runs for long."""
    server.client().config_set("busy-reply-threshold", 100)
    script = (
        f"local t = redis.call('TIME') repeat local n = redis.call('TIME') until n[1] - t[1] > {REFUSES_S}"
    )
    client = redis.Redis(port=server.port, socket_timeout=None)
    running = threading.Thread(target=client.eval, args=(script, 0, REFUSES_S))
    running.start()
    yield
    running.join()


REFUSALS = [no_replicas, is_a_replica, cannot_save, is_full, is_busy]


def lines(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def refused_for_a_while(
    refuses: Callable[[Server], Any], server: Server, app: Celery, node: WorkerProcess, path: Path
) -> None:
    """Refuse writes while tasks run, one of them through all of it; then look what became of them."""
    with refuses(server):
        threading.Event().wait(REFUSES_S)
        assert node.process.poll() is None, node.text()
    wait_until(lambda: len(lines(path)) >= TASKS + 1, "all tasks ran", 60)
    wait_until(lambda: is_up(server, "n1"), "the node is up")
    wait_until(lambda: known(server, "n1").outstanding == 0, "all are settled")
    assert sorted(lines(path)) == sorted([*map(str, range(TASKS)), "long"]), node.text()
    state = state_of(server)
    assert state.dead_count() == 0
    assert state.client.hlen(state.keys.deaths) == 0
    assert "fenced" not in node.text()


@pytest.mark.parametrize("refuses", REFUSALS)
def test_a_node_waits_until_its_server_takes_writes_again(
    refuses: Callable[[Server], Any], server: Server, app: Celery, tmp_path: Path
) -> None:
    """Broken if a failover, a full disk or another's long script ends nodes, or runs tasks twice."""
    path = tmp_path / "lines"
    with worker(server, tmp_path, slots=2, lease=LEASE, pool="threads") as node:
        app.tasks["jot"].delay(str(path), "long", REFUSES_S / 2)
        for number in range(TASKS):
            app.tasks["jot"].delay(str(path), str(number), 0.1)
        wait_until(lambda: len(lines(path)) > 3, "tasks run")
        refused_for_a_while(refuses, server, app, node, path)


@pytest.mark.parametrize("pool", ["prefork", "solo", "gevent"])
def test_so_does_a_node_on_every_other_pool(pool: str, server: Server, app: Celery, tmp_path: Path) -> None:
    """Broken if a pool without an event loop, or with processes, settles on a way of its own."""
    path = tmp_path / "lines"
    slots = 1 if pool == "solo" else 2
    with worker(server, tmp_path, slots=slots, lease=LEASE, pool=pool) as node:
        app.tasks["jot"].delay(str(path), "long", REFUSES_S / 2)
        for number in range(TASKS):
            app.tasks["jot"].delay(str(path), str(number), 0.1)
        wait_until(lambda: known(server, "n1").load.active > 0, "tasks run")
        refused_for_a_while(no_replicas, server, app, node, path)


@pytest.mark.parametrize("refuses", REFUSALS)
def test_a_node_that_starts_meanwhile_waits_too(
    refuses: Callable[[Server], Any], server: Server, app: Celery, tmp_path: Path
) -> None:
    """Broken if a supervisor has to start a node again and again while its server is not ready."""
    path = tmp_path / "lines"
    app.tasks["jot"].delay(str(path), "1")
    with ExitStack() as refused:
        refused.enter_context(refuses(server))
        with worker(server, tmp_path, lease=LEASE, ready=False) as node:
            threading.Event().wait(REFUSES_S)
            assert node.process.poll() is None, node.text()
            refused.close()
            wait_until(lambda: lines(path) == ["1"], "it runs what waited", 40)


def test_a_node_that_stops_meanwhile_settles_first(server: Server, app: Celery, tmp_path: Path) -> None:
    """Broken if what ended while a server refused to hear of it runs again elsewhere."""
    path = tmp_path / "lines"
    with worker(server, tmp_path, lease=LEASE) as node:
        app.tasks["jot"].delay(str(path), "1", 1.0)
        wait_until(lambda: known(server, "n1").load.active == 1, "it runs")
        with no_replicas(server):
            node.process.terminate()
            wait_until(lambda: lines(path) == ["1"], "it ended")
            threading.Event().wait(2)
        assert node.process.wait(30) == 0
        with worker(server, tmp_path, "n2", lease=LEASE):
            assert app.tasks["jot"].delay(str(path), "2")
            wait_until(lambda: "2" in lines(path), "the next one ran")
            wait_until(lambda: known(server, "n2").outstanding == 0, "nothing is left")
    assert lines(path) == ["1", "2"]


@pytest.mark.parametrize("refuses", [no_replicas, is_a_replica, is_full])
def test_a_producer_is_told_as_with_plain_celery_and_may_try_again(
    refuses: Callable[[Server], Any], server: Server, app: Celery, tmp_path: Path
) -> None:
    """Broken if a task that was not published looks published, or if another error than Celery's tells so."""
    with worker(server, tmp_path, lease=LEASE):
        app.tasks["jot"].delay(str(tmp_path / "lines"), "1")
        with refuses(server), pytest.raises(OperationalError):
            app.tasks["jot"].delay(str(tmp_path / "lines"), "2")
        app.tasks["jot"].delay(str(tmp_path / "lines"), "3")
        wait_until(lambda: len(lines(tmp_path / "lines")) == 2, "those that were published ran")
    assert lines(tmp_path / "lines") == ["1", "3"]


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_a_retry_that_cannot_be_published_is_not_the_end_of_its_task(
    pool: str, server: Server, app: Celery, tmp_path: Path
) -> None:
    """Broken if a task that asks to be run again is thrown away, since its retry cannot be published."""
    path = tmp_path / "lines"
    with worker(server, tmp_path, lease=LEASE, pool=pool):
        app.tasks["jot.again"].delay(str(path), 1.0)
        wait_until(lambda: known(server, "n1").load.active == 1, "it runs")
        with no_replicas(server):
            wait_until(lambda: len(lines(path)) == 1, "it asks to be run again")
            threading.Event().wait(2)
        wait_until(lambda: len(lines(path)) == 2, "it ran again", 40)
        wait_until(lambda: known(server, "n1").outstanding == 0, "it is settled")
