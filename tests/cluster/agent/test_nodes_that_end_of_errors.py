"""A node that ends because of an error, in good order, counts a death for what it leaves in the middle."""

from __future__ import annotations

import socket
from pathlib import Path

import celery
import pytest
from celery import Celery

from tests.support.nodes import claims_of, known, state_of, worker
from tests.support.servers import Server
from tests.support.waiting import wait_until

#: How each pool can be brought to an end, or to lose a process, by what its task raises.
POISONS = [
    ("prefork", "exhaust"),
    pytest.param(
        *("prefork", "leave"),
        marks=pytest.mark.skipif(
            celery.VERSION < (5, 7), reason="before 5.7 Celery calls it failed, and done"
        ),
    ),
    ("solo", "exhaust"),
    ("solo", "leave"),
    ("threads", "leave"),
    ("gevent", "leave"),
]
#: Nodes that are started, one after the other, until the poison is given up.
NODES = 4


@pytest.mark.parametrize(("pool", "poison"), POISONS)
def test_a_task_that_ends_node_after_node_is_given_up_and_nobody_else(
    app: Celery, clean_valkey: Server, tmp_path: Path, pool: str, poison: str
) -> None:
    """Broken if one task ends each node that takes it, for ever, since each says goodbye."""
    state = state_of(clean_valkey)
    waiting = [app.tasks["noop"].apply_async(countdown=3600) for _ in range(3)]
    app.tasks[poison].delay()
    env = {"SWITCHYARD_MAX_DELIVERIES": "2"}
    for _ in range(NODES):
        with worker(clean_valkey, tmp_path, slots=1, pool=pool, lease=2.0, env=env, ready=False) as node:
            over = lambda: state.dead_count() == 1 or node.process.poll() is not None  # noqa: E731
            wait_until(over, "it is given up, or the node ends", 60)
        if state.dead_count():
            break
    [dead] = state.dead_tasks(state.dead_receipts())
    assert poison.encode() in dead.message
    with worker(clean_valkey, tmp_path, "heir", lease=2.0):
        assert app.tasks["add"].delay(1, 1).get(timeout=30) == 2
        wait_until(lambda: claims_of(clean_valkey, "heir") == len(waiting), "all others wait as before")


def test_what_ends_before_the_node_does_is_no_suspect(
    app: Celery, clean_valkey: Server, tmp_path: Path
) -> None:
    """Broken if a death is counted for a task that came to its end in good order, or it runs twice."""
    state = state_of(clean_valkey)
    with worker(clean_valkey, tmp_path, slots=2, pool="prefork") as node:
        app.tasks["record"].delay("error", "ran", 3.0)
        app.tasks["noop"].apply_async(countdown=3600)
        wait_until(lambda: known(clean_valkey, "n1").load.active == 1, "it runs")
        app.control.broadcast("break_loop", destination=[f"n1@{socket.gethostname()}"])
        assert node.process.wait(60) == 1
    assert clean_valkey.client(63).lrange("error", 0, -1) == [b"ran"]
    assert state.size(["celery"]) == 1
    assert state.dead_count() == 0
    assert all(b"n1" not in lines for lines in state.client.hvals(state.keys.deaths))
