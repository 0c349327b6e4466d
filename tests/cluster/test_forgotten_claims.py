"""Claims that nothing in their node knows any more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psutil
import pytest
from celery import Celery

from tests.support.nodes import claims_of, node_of, state_of, worker
from tests.support.servers import Server
from tests.support.waiting import wait_until

LEASE = 1.0


def runs(server: Server) -> bool:
    """Whether the node says that a task runs."""
    node = node_of(server, "n1")
    return node is not None and node.load.active == 1


@pytest.mark.xfail(strict=True, reason="Hold A6: an error out of a thread of the pool marks nothing yet")
def test_a_claim_that_nobody_knows_is_given_back_and_at_last_given_up(
    app: Celery, clean_valkey: Server, tmp_path: Path
) -> None:
    """Broken if a task whose end cannot be told keeps its slot until the node is restarted."""
    app.tasks["fail"].delay()
    client: Any = clean_valkey.client()
    message = json.loads(client.rpop("celery"))
    message["headers"]["errbacks"] = 5
    client.lpush("celery", json.dumps(message))
    env = {"SWITCHYARD_MAX_DELIVERIES": "2"}
    with worker(clean_valkey, tmp_path, slots=2, lease=LEASE, env=env) as node:
        state = state_of(clean_valkey)
        wait_until(lambda: state.dead_count() == 1, "it is among the dead", 60)
        assert claims_of(clean_valkey, "n1") == 0
        assert "does not know" in node.text()
        assert app.tasks["add"].delay(1, 1).get(timeout=60) == 2


@pytest.mark.xfail(strict=True, reason="Hold A6: the test does not see the node connect again on prefork")
def test_a_child_that_dies_after_a_reconnect_gives_its_task_back(
    app: Celery, clean_valkey: Server, tmp_path: Path
) -> None:
    """Broken if what is needed to give a task back went with the connection that brought it."""
    with worker(clean_valkey, tmp_path, slots=1, pool="prefork", lease=LEASE) as node:
        result = app.tasks["nap"].delay(3.0)
        wait_until(lambda: runs(clean_valkey), "it runs")
        clean_valkey.client().execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        wait_until(lambda: "Connected to" in node.text().partition(" ready.")[2], "it is connected again", 60)
        for child in psutil.Process(node.process.pid).children():
            child.kill()
        assert result.get(timeout=60) == 3.0
        wait_until(lambda: claims_of(clean_valkey, "n1") == 0, "nothing is held")
