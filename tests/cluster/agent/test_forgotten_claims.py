"""Claims that nothing in their node knows any more."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
from celery import Celery

from tests.support.commands import run
from tests.support.nodes import claims_of, node_of, state_of, worker
from tests.support.servers import Server
from tests.support.waiting import wait_until

LEASE = 1.0


def runs(server: Server) -> bool:
    """Whether the node says that a task runs."""
    node = node_of(server, "n1")
    return node is not None and node.load.active == 1


@pytest.mark.parametrize("pool", ["threads", "gevent"])
def test_a_claim_that_nobody_knows_is_given_back_and_at_last_given_up(
    app: Celery, clean_valkey: Server, tmp_path: Path, pool: str
) -> None:
    """Broken if a task whose end cannot be told keeps its slot until the node is restarted."""
    app.tasks["exhaust"].delay()
    env = {"SWITCHYARD_MAX_DELIVERIES": "2"}
    # Long enough for somebody to look while it is forgotten.
    with worker(clean_valkey, tmp_path, slots=2, pool=pool, lease=8.0, env=env) as node:
        state = state_of(clean_valkey)
        wait_until(lambda: state.forgotten(["n1"]) == {"n1": 1}, "the node says so")
        said = run("check", "--broker", clean_valkey.url()).stdout
        assert "node n1 holds 1 claims that nothing in it knows any more" in said
        wait_until(lambda: state.dead_count() == 1, "it is among the dead", 60)
        wait_until(lambda: claims_of(clean_valkey, "n1") == 0, "nothing is held")
        assert "does not know" in node.text()
        assert "could not be told" in node.text()
        assert app.tasks["add"].delay(1, 1).get(timeout=60) == 2


def test_a_child_that_dies_after_a_reconnect_gives_its_task_back(
    app: Celery, clean_valkey: Server, tmp_path: Path
) -> None:
    """Broken if what is needed to give a task back went with the connection that brought it."""
    # A node that is full waits for nothing over the connection: it would not see that it is cut.
    with worker(clean_valkey, tmp_path, slots=2, pool="prefork", lease=LEASE) as node:
        result = app.tasks["nap"].delay(5.0)
        wait_until(lambda: runs(clean_valkey), "it runs")
        clean_valkey.client().execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        wait_until(lambda: "Connected to" in node.text().partition(" ready.")[2], "it is connected again", 60)
        for child in psutil.Process(node.process.pid).children():
            child.kill()
        assert result.get(timeout=60) == 5.0
        wait_until(lambda: claims_of(clean_valkey, "n1") == 0, "nothing is held")
        assert node.text().count("Task nap") == 3, "received twice, succeeded once"
