"""One task that kills its nodes, among others that do not."""

from __future__ import annotations

from pathlib import Path

from celery import Celery

from tests.support.nodes import claims_of, state_of, worker
from tests.support.servers import Server
from tests.support.waiting import wait_until

LEASE = 1.0
DEATHS = 3


def test_a_poison_task_is_given_up_alone(app: Celery, clean_valkey: Server, tmp_path: Path) -> None:
    """Broken if one task that kills its node takes those that wait or run beside it among the dead."""
    app.tasks["poison"].delay()
    for _ in range(20):
        app.tasks["add"].apply_async((1, 1), countdown=600)
    for _ in range(2):
        app.tasks["nap"].delay(600)
    env = {"SWITCHYARD_MAX_DELIVERIES": str(DEATHS)}
    for number in range(DEATHS):
        with worker(clean_valkey, tmp_path, f"n{number}", slots=4, lease=LEASE, env=env, ready=False) as node:
            node.process.wait(90)
    state = state_of(clean_valkey)
    with worker(clean_valkey, tmp_path, "heir", slots=4, lease=LEASE, env=env):
        wait_until(lambda: claims_of(clean_valkey, "heir") >= 21, "the others are held again", 60)
    [dead] = state.dead_tasks(state.dead_receipts())
    assert b'"poison"' in dead.message
    assert dead.deaths == DEATHS
