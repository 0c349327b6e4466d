"""kombu's transport options hold for everybody who reads the lists: nodes, counts, checks."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

import switchyard
from switchyard.cluster.depths import queue_depths
from switchyard.transport.opening import open_state
from tests.support.app import make_app
from tests.support.nodes import APP, ROOT, environment, known, worker
from tests.support.servers import Server
from tests.support.waiting import wait_until

TIMEOUT = 20
#: Seconds that a node may need to start on a busy machine: nobody waits for it where its keys have a prefix.
STARTING = 40
#: Celery's documented setting for priorities, and others that users have.
OPTIONS: dict[str, dict[str, Any]] = {
    "documented": {"priority_steps": list(range(10)), "sep": ":", "queue_order_strategy": "priority"},
    "steps": {"priority_steps": [0, 5]},
    "prefix": {"priority_steps": list(range(10)), "sep": "#", "global_keyprefix": "shop:"},
    "one step": {"priority_steps": [0], "sep": "."},
}


def made(server: Server, options: dict[str, Any]) -> Celery:
    app = make_app(server.url())
    app.conf.broker_transport_options = options
    return app


@pytest.fixture(params=OPTIONS)
def options(request: pytest.FixtureRequest) -> dict[str, Any]:
    return OPTIONS[request.param]


@pytest.fixture
def app(clean_valkey: Server, options: dict[str, Any]) -> Iterator[Celery]:
    app = made(clean_valkey, options)
    yield app
    app.close()


def depth(app: Celery) -> int:
    """What overviews say that waits."""
    state = open_state(app, switchyard.Settings())
    return sum(depth.waiting + depth.placed for depth in queue_depths(state))


def test_tasks_of_every_priority_are_counted_run_and_purged(
    app: Celery, options: dict[str, Any], clean_valkey: Server, tmp_path: Path
) -> None:
    """Broken if an urgent task never runs, or ten wait where an overview says four."""
    for priority in range(10):
        app.tasks["noop"].apply_async(priority=priority)
        app.tasks["noop"].apply_async(priority=priority, placement={"labels": {"gpu": "yes"}})
    assert depth(app) == 20
    with app.connection_for_write() as connection:
        assert connection.default_channel.queue_declare("celery", passive=True).message_count == 20
        assert connection.default_channel.queue_purge("celery") == 20
    results = [
        app.tasks["add"].apply_async(
            (i, 1), priority=i % 10, placement={"labels": {"gpu": "yes"}} if i > 9 else {}
        )
        for i in range(20)
    ]
    env = {"TEST_TRANSPORT_OPTIONS": json.dumps(options)}
    with worker(clean_valkey, tmp_path, env=env, options=["--label", "gpu=yes"], ready=False) as node:
        assert [result.get(timeout=TIMEOUT + STARTING) for result in results] == list(range(1, 21))
        wait_until(lambda: depth(app) == 0, node.text()[-2000:])
        assert "back" not in node.text()


def check(server: Server, *args: str, **env: str) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "switchyard_workers.cli", "check", "--json", *args]
    extra = environment(server, 0, **env)
    done = subprocess.run(
        command, env=extra, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False
    )
    findings: list[dict[str, Any]] = json.loads(done.stdout)
    return [finding for finding in findings if finding["check"] == "options"]


def test_a_node_that_names_lists_otherwise_is_found_and_does_not_spin(
    clean_valkey: Server, tmp_path: Path
) -> None:
    """Broken if tasks of a producer with other options are claimed and given back without a pause."""
    said = json.dumps({"priority_steps": list(range(10)), "sep": ":"})
    with worker(clean_valkey, tmp_path, env={"TEST_TRANSPORT_OPTIONS": said}) as node:
        app = make_app(clean_valkey.url())

        def complains() -> str:
            app.tasks["add"].apply_async((1, 1), priority=6)
            return known(clean_valkey, "n1").complaint

        before = clean_valkey.client().info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0)
        wait_until(complains, "the node says it")
        app.close()
        sent = clean_valkey.client().llen("celery\x06\x166")
        after = clean_valkey.client().info("commandstats")["cmdstat_evalsha"]["calls"]
        assert after - before < 200 + 10 * sent
        assert node.text().count("gives tasks of queue") == 1
        found = check(clean_valkey, "-A", APP)
        assert any("priority_steps" in finding["finding"] for finding in found), found
        assert any("gives tasks of queue" in finding["finding"] for finding in found), found
        for args in (["-A", APP], ["--broker", clean_valkey.url()]):
            found = check(clean_valkey, *args, TEST_TRANSPORT_OPTIONS=said)
            assert not any("priority_steps" in finding["finding"] for finding in found), found
