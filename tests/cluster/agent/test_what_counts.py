"""What a node has counts from the moment that it takes it until it has ended, whatever Celery is told."""

from __future__ import annotations

import json
from pathlib import Path

import celery
import pytest
from celery import Celery

from tests.support.nodes import claims_of, known, node_of, state_of, worker
from tests.support.servers import Server
from tests.support.waiting import wait_until

EARLY = {"TEST_CONF": json.dumps({"task_acks_late": False})}
LEASE = 2.0
TIMEOUT = 30


@pytest.mark.parametrize("multiplier", [4, 0])
def test_without_prefetch_a_busy_node_takes_one_task_for_each_slot(
    app: Celery, clean_valkey: Server, tmp_path: Path, multiplier: int
) -> None:
    """Broken if worker_disable_prefetch has no effect: tasks wait on a busy node beside idle slots."""
    settings = {"worker_disable_prefetch": True, "worker_prefetch_multiplier": multiplier}
    env = {"TEST_CONF": json.dumps(settings)}
    state = state_of(clean_valkey)
    with (
        worker(clean_valkey, tmp_path, "first", slots=1, env=env),
        worker(clean_valkey, tmp_path, "second", slots=3, env=env),
    ):
        state.drain("second")
        results = [app.tasks["where"].delay(8.0) for _ in range(4)]
        wait_until(lambda: known(clean_valkey, "first").load.active == 1, "it is busy")
        assert (known(clean_valkey, "first").claims, known(clean_valkey, "first").limit) == (1, 1)
        state.resume("second")
        nodes = [result.get(timeout=TIMEOUT) for result in results]
    assert sorted(nodes) == ["first", "second", "second", "second"]


@pytest.mark.parametrize("pool", ["prefork", "threads", "gevent", "solo"])
def test_a_task_that_is_acknowledged_as_it_starts_takes_a_slot(
    app: Celery, clean_valkey: Server, tmp_path: Path, pool: str
) -> None:
    """Broken if another task is placed behind one that runs, or claimed, because that is acknowledged."""
    state = state_of(clean_valkey)
    with (
        worker(clean_valkey, tmp_path, "busy", slots=1, pool=pool, lease=LEASE, env=EARLY),
        worker(clean_valkey, tmp_path, "idle", slots=2, lease=LEASE, env=EARLY),
    ):
        state.drain("idle")
        app.tasks["nap"].delay(12.0)
        wait_until(lambda: state.client.hvals(state.keys.claims("busy")) == [b"0:"], "it is acknowledged")
        state.resume("idle")
        results = [app.tasks["where"].delay() for _ in range(6)]
        assert {result.get(timeout=10) for result in results} == {"idle"}
        assert known(clean_valkey, "busy").outstanding == 1
        wait_until(lambda: claims_of(clean_valkey, "busy") == 0, "its end is told")
        results = [app.tasks["where"].apply_async(placement={"node": "busy"}) for _ in range(3)]
        assert {result.get(timeout=TIMEOUT) for result in results} == {"busy"}
        wait_until(lambda: claims_of(clean_valkey, "busy") == 0, "its end is told")


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_task_that_is_acknowledged_as_it_starts_never_runs_again(
    app: Celery, clean_valkey: Server, tmp_path: Path, pool: str
) -> None:
    """Broken if a task runs twice whose user said that it must not: its node dies, and it is given back."""
    state = state_of(clean_valkey)
    with worker(clean_valkey, tmp_path, "dies", slots=1, pool=pool, lease=LEASE, env=EARLY) as node:
        app.tasks["record"].delay("early", "ran", 60.0)
        wait_until(lambda: known(clean_valkey, "dies").load.active == 1, "it runs")
        entries = lambda: state.client.hvals(state.keys.claims("dies"))  # noqa: E731
        wait_until(lambda: entries() == [b"0:"], "it is acknowledged")
        node.kill()
    with worker(clean_valkey, tmp_path, "heir", slots=1, lease=LEASE, env=EARLY):
        wait_until(lambda: not state.client.exists(state.keys.claims("dies")), "it is reaped")
        assert app.tasks["add"].delay(1, 1).get(timeout=TIMEOUT) == 2
        assert state.size(["celery"]) == 0
        assert state.dead_count() == 0
        heir = node_of(clean_valkey, "heir")
        assert heir is not None
        assert heir.load.done == 1 or heir.load.active == 0


@pytest.mark.skipif(celery.VERSION < (5, 7), reason="before 5.7 Celery calls it failed, and done")
def test_a_task_that_always_takes_too_long_is_given_up(
    app: Celery, clean_valkey: Server, tmp_path: Path
) -> None:
    """Broken if a task beyond its hard limit that is not acknowledged for it comes back for ever."""
    settings = {"task_acks_on_failure_or_timeout": False}
    env = {"TEST_CONF": json.dumps(settings), "SWITCHYARD_MAX_DELIVERIES": "2"}
    with worker(clean_valkey, tmp_path, slots=1, pool="prefork", lease=LEASE, env=env) as node:
        state = state_of(clean_valkey)
        app.tasks["nap"].apply_async((60.0,), time_limit=1)
        wait_until(lambda: state.dead_count() == 1, "it is among the dead", 60)
        assert node.text().count("Hard time limit") == 2
        assert app.tasks["delivery"].delay().get(timeout=60)[0] == 1
        wait_until(lambda: claims_of(clean_valkey, "n1") == 0, "nothing is held")
