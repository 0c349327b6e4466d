"""What Celery would throw away is set aside: those that asked are told, and it can be requeued."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from celery.exceptions import NotRegistered

import switchyard
from tests.support.messages import message
from tests.support.nodes import known, state_of, worker
from tests.support.servers import Server
from tests.support.waiting import wait_until

TIMEOUT = 20


def dead_reasons(server: Server) -> dict[str, str]:
    """What was set aside: the ids of the tasks, and why."""
    state = state_of(server)
    found = {}
    for dead in state.dead_tasks(state.dead_receipts()):
        found[json.loads(dead.message)["headers"]["id"]] = dead.reason
    return found


def send(server: Server, **parts: Any) -> str:
    """Put a message on the queue; the task's id."""
    task_id = str(uuid.uuid4())
    headers = {"id": task_id, **parts.pop("headers", {})}
    server.client().lpush("celery", message(headers=headers, **parts))
    return task_id


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_what_celery_discards_is_set_aside(
    app: Celery, clean_valkey: Server, tmp_path: Path, pool: str
) -> None:
    """Broken if a deploy in the wrong order, or a refused serializer, loses tasks, or callers wait on."""
    with worker(clean_valkey, tmp_path, pool=pool) as node:
        unknown = app.send_task("of.the.next.version", (1,))
        told = {
            send(
                clean_valkey, content_type="application/x-python-serialize", raw_body=b"x"
            ): "ContentDisallowed",
            send(clean_valkey, raw_body=b"not json"): "DecodeError",
            send(clean_valkey, headers={"eta": "tomorrow"}): "InvalidTaskError",
            send(clean_valkey, headers={"compression": "unheard of"}): "KeyError",
        }
        with pytest.raises(NotRegistered):
            unknown.get(timeout=TIMEOUT)
        for task_id in told:
            with pytest.raises(switchyard.TaskGivenUp, match="was given up"):
                app.AsyncResult(task_id).get(timeout=TIMEOUT)
        reasons = dead_reasons(clean_valkey)
        assert reasons.keys() == {unknown.id, *told}
        assert "of.the.next.version" in reasons[unknown.id]
        assert {task_id: word for task_id, word in told.items() if word not in reasons[task_id]} == {}
        assert state_of(clean_valkey).counters().given_up == 5
        wait_until(lambda: known(clean_valkey, "n1").outstanding == 0, node.text()[-2000:])


def test_a_task_set_aside_runs_once_it_is_known(app: Celery, clean_valkey: Server, tmp_path: Path) -> None:
    """Broken if what was unknown to an old node can't be given to a new one."""
    sent = app.send_task("late", (1, 2))
    state = state_of(clean_valkey)
    with worker(clean_valkey, tmp_path):
        [receipt] = wait_until(state.dead_receipts, "it is set aside")
    assert state.requeue(receipt)
    with worker(clean_valkey, tmp_path, env={"TEST_LATE": "1"}):
        wait_until(lambda: app.AsyncResult(sent.id).state == "SUCCESS", "it runs")


@pytest.mark.parametrize("pool", ["threads", "solo"])
def test_what_a_task_rejects_or_ignores_stays_celerys(
    app: Celery, clean_valkey: Server, tmp_path: Path, pool: str
) -> None:
    """Broken if a user's own way to throw a task away fills the list of the dead."""
    with worker(clean_valkey, tmp_path, pool=pool, slots=1):
        app.tasks["refuse"].delay("reject")
        app.tasks["refuse"].delay("ignore")
        app.tasks["add"].apply_async((1, 1), expires=-1)
        revoked = app.tasks["add"].apply_async((1, 1), countdown=2)
        app.control.revoke(revoked.id)
        assert app.tasks["add"].delay(1, 1).get(timeout=TIMEOUT) == 2
        wait_until(lambda: known(clean_valkey, "n1").outstanding == 0, "everything is settled")
        assert state_of(clean_valkey).dead_count() == 0
