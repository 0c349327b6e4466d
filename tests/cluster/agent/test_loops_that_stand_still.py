"""An event loop that stands still for a reason is no hang: an outage, a stop that takes its time."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import celery
import pytest
from celery import Celery

from switchyard.models import NodeState
from tests.support import servers
from tests.support.app import make_app
from tests.support.nodes import WorkerProcess, claims_of, is_up, known, node_of, state_of, worker
from tests.support.servers import Server
from tests.support.waiting import wait_until

LEASE = 1.0
#: Seconds that a node takes to stop here: several leases.
STOP = 7.0
#: Seconds that the task runs on, less than that.
TASK = 4.0
TIMEOUT = 60


@pytest.mark.parametrize("mingle", [False, True], ids=["alone", "mingle"])
@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_an_outage_of_the_server_is_no_hang(tmp_path: Path, pool: str, mingle: bool) -> None:
    """Broken if each node says after each outage that its event loop hangs, and lets its lease go for it."""
    port = servers.free_port()
    options = ["--appendonly", "yes", "--appendfsync", "always", "--dir", str(tmp_path)]
    with servers.redis_server(port, options) as server:
        app = make_app(server.url())
        with worker(server, tmp_path, pool=pool, lease=LEASE, mingle=mingle) as node:
            assert app.tasks["add"].delay(1, 1).get(timeout=TIMEOUT) == 2
            server.client().shutdown(nosave=True)
            text = "could not renew its lease"
            # One is said each half second or so.
            wait_until(lambda: node.text().count(text) > 3 * LEASE / 0.2, "the outage takes some leases")
            with servers.redis_server(port, options) as again:
                wait_until(lambda: is_up(again, "n1"), "it is back", TIMEOUT)
                assert app.tasks["nap"].delay(2 * LEASE).get(timeout=TIMEOUT) == 2 * LEASE
        app.close()
    assert "the event loop" not in node.text()


@contextmanager
def told_to_stop(
    app: Celery, server: Server, path: Path, pool: str, number: signal.Signals, env: dict[str, str]
) -> Iterator[WorkerProcess]:
    """A node that runs a task and takes its time to stop, beside another one."""
    state = state_of(server)
    with (
        worker(server, path, "stops", slots=2, pool=pool, lease=LEASE, env=env) as node,
        worker(server, path, "heir", slots=2, lease=LEASE),
    ):
        state.drain("heir")
        app.tasks["record"].delay("stop", "ran", TASK)
        wait_until(lambda: known(server, "stops").load.active == 1, "the task runs")
        state.resume("heir")
        node.process.send_signal(number)
        yield node
        assert node.process.wait(TIMEOUT) is not None
        wait_until(lambda: claims_of(server, "heir") == 0 and state.size(["celery"]) == 0, "nothing left")
        assert server.client(63).lrange("stop", 0, -1) == [b"ran"]
        assert state.client.hlen(state.keys.deaths) == 0
        assert "the event loop" not in node.text()
        assert "lost" not in [event.kind for event in state.events(100)]


def does_not_take_any_more(app: Celery, server: Server) -> None:
    """The node drains, and what is published goes elsewhere."""
    wait_until(lambda: known(server, "stops").state is NodeState.DRAINING, "it drains", STOP / 2)
    results = [
        app.tasks["where"].apply_async(placement={"strategy": how}) for how in ("random", "least_load")
    ]
    assert {result.get(timeout=STOP / 2) for result in results} == {"heir"}


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_slow_handler_of_the_shutdown_is_no_hang(
    app: Celery, clean_valkey: Server, tmp_path: Path, pool: str
) -> None:
    """Broken if a healthy node that stops is lost meanwhile: its tasks run twice, and count a death."""
    env = {"TEST_STOPS_FOR": str(STOP)}
    with told_to_stop(app, clean_valkey, tmp_path, pool, signal.SIGTERM, env):
        does_not_take_any_more(app, clean_valkey)


@pytest.mark.skipif(celery.VERSION < (5, 5), reason="soft shutdown came with Celery 5.5")
@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_soft_shutdown_is_no_hang(app: Celery, clean_valkey: Server, tmp_path: Path, pool: str) -> None:
    """Broken if a task that ends within worker_soft_shutdown_timeout runs twice."""
    env = {"TEST_CONF": json.dumps({"worker_soft_shutdown_timeout": STOP})}
    with told_to_stop(app, clean_valkey, tmp_path, pool, signal.SIGQUIT, env):
        does_not_take_any_more(app, clean_valkey)


@pytest.mark.parametrize("pool", ["prefork", "threads", "gevent"])
def test_what_ends_while_a_node_stops_is_settled_before_its_last_task(
    app: Celery, clean_valkey: Server, tmp_path: Path, pool: str
) -> None:
    """Broken if a node that is killed at the end of its grace doubles all that it did in it."""
    with worker(clean_valkey, tmp_path, slots=2, pool=pool, lease=LEASE) as node:
        app.tasks["nap"].delay(10.0)
        app.tasks["nap"].delay(2.0)
        wait_until(lambda: known(clean_valkey, "n1").load.active == 2, "both run")
        node.process.send_signal(signal.SIGTERM)
        wait_until(lambda: claims_of(clean_valkey, "n1") == 1, "the short one is settled", 7)
        assert node.process.poll() is None
        assert node_of(clean_valkey, "n1") is not None
