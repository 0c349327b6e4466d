"""Nodes die, pause, restart and lose their server; their tasks do not."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

import switchyard
from tests.support import servers
from tests.support.app import make_app
from tests.support.nodes import is_up, node_of, state_of, worker
from tests.support.servers import Server
from tests.support.waiting import wait_until

#: Seconds; short, so that tests need not wait long for a death to be noticed.
LEASE = 2.0
TIMEOUT = 30


def claims(server: Server, name: str) -> int:
    node = node_of(server, name)
    return node.claims if node is not None else 0


def outstanding(server: Server) -> int:
    return sum(node.outstanding for node in state_of(server).snapshot())


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_killed_nodes_tasks_run_elsewhere_within_seconds(
    app: Celery, clean_valkey: Server, tmp_path: Path, pool: str
) -> None:
    """A task would be lost with its node, or come back after an hour."""
    with (
        worker(clean_valkey, tmp_path, "victim", pool=pool, lease=LEASE) as victim,
        worker(clean_valkey, tmp_path, "heir", lease=LEASE),
    ):
        results = [app.tasks["where"].apply_async((1.0,), placement={"node": "victim"}) for _ in range(2)]
        results += [
            app.tasks["delivery"].apply_async((1.0,), placement={"strategy": "round_robin"}) for _ in range(8)
        ]
        wait_until(lambda: claims(clean_valkey, "victim") == 2, "the victim is busy")
        victim.kill()
        deliveries = [result.get(timeout=TIMEOUT) for result in results[2:]]
        assert {count for count, _ in deliveries} <= {1, 2}
        with worker(clean_valkey, tmp_path, "victim", lease=LEASE):
            assert [result.get(timeout=TIMEOUT) for result in results[:2]] == ["victim"] * 2
        assert state_of(clean_valkey).dead_receipts() == []


@pytest.mark.timing
def test_a_restart_under_the_old_name_takes_the_work_back_at_once(
    app: Celery, clean_valkey: Server, tmp_path: Path
) -> None:
    """A restarted node would be refused until the lease of the dead one runs out."""
    with worker(clean_valkey, tmp_path, lease=60) as first:
        result = app.tasks["delivery"].delay(0.5)
        wait_until(lambda: claims(clean_valkey, "n1") == 1, "the task is claimed")
        first.kill()
    started = time.monotonic()
    with worker(clean_valkey, tmp_path, lease=60):
        count, _ = result.get(timeout=TIMEOUT)
        assert count == 2
        assert time.monotonic() - started < 50


def test_a_poison_task_is_given_up_and_its_caller_told(
    app: Celery, clean_valkey: Server, tmp_path: Path
) -> None:
    """One task would kill node after node, and its caller wait for ever."""
    env = {"SWITCHYARD_MAX_DELIVERIES": "2"}
    with worker(clean_valkey, tmp_path, "survivor", lease=LEASE, env=env, options=["--label", "safe=yes"]):
        poison = app.tasks["poison"].apply_async(placement={"node": "victim"})
        for _ in range(2):
            with worker(clean_valkey, tmp_path, "victim", lease=LEASE, env=env, ready=False) as victim:
                victim.process.wait(TIMEOUT)
        with pytest.raises(switchyard.TaskGivenUp, match="victim"):
            poison.get(timeout=TIMEOUT)
        assert app.tasks["add"].delay(1, 1).get(timeout=TIMEOUT) == 2
        [receipt] = state_of(clean_valkey).dead_receipts()
        dead = state_of(clean_valkey).dead(receipt)
        assert dead is not None
        assert (dead.deaths, dead.nodes) == (2, ("victim", "victim"))


def test_a_task_that_kills_its_pool_process_is_given_up(
    app: Celery, clean_valkey: Server, tmp_path: Path
) -> None:
    """A task that runs out of memory would be put back for ever, and kill one pool process after another."""
    with worker(
        clean_valkey, tmp_path, pool="prefork", slots=1, env={"SWITCHYARD_MAX_DELIVERIES": "2"}
    ) as node:
        with pytest.raises(switchyard.TaskGivenUp, match="2 nodes or pool processes died"):
            app.tasks["crash"].delay().get(timeout=60)
        assert app.tasks["delivery"].delay().get(timeout=TIMEOUT)[0] == 1
        assert node.process.poll() is None
        [receipt] = state_of(clean_valkey).dead_receipts()
        dead = state_of(clean_valkey).dead(receipt)
        assert dead is not None
        assert (dead.deaths, dead.nodes) == (2, ("n1", "n1"))
        wait_until(lambda: outstanding(clean_valkey) == 0, "the last task is settled")


def test_a_paused_node_is_fenced_and_rejoins_by_itself(
    app: Celery, clean_valkey: Server, tmp_path: Path
) -> None:
    """A node that wakes from a long pause would act on tasks that others have now, or stay out for good."""
    with (
        worker(clean_valkey, tmp_path, "sleeper", lease=LEASE) as sleeper,
        worker(clean_valkey, tmp_path, "heir", lease=LEASE),
    ):
        result = app.tasks["delivery"].apply_async((0.5,))
        wait_until(lambda: outstanding(clean_valkey) == 1, "the task is claimed")
        os.killpg(sleeper.process.pid, signal.SIGSTOP)
        wait_until(lambda: not is_up(clean_valkey, "sleeper"), "the cluster notices")
        assert result.get(timeout=TIMEOUT)[0] in (1, 2)
        os.killpg(sleeper.process.pid, signal.SIGCONT)
        wait_until(lambda: is_up(clean_valkey, "sleeper"), "the sleeper is back")
        pinned = app.tasks["where"].apply_async(placement={"node": "sleeper"})
        assert pinned.get(timeout=TIMEOUT) == "sleeper"
        wait_until(lambda: outstanding(clean_valkey) == 0, "everything is settled")


def test_a_cut_connection_keeps_running_tasks_and_doubles_none(
    app: Celery, clean_valkey: Server, tmp_path: Path
) -> None:
    """A short loss of the network would run every running task twice."""
    ledger = clean_valkey.client(63)
    with worker(clean_valkey, tmp_path, slots=2):
        for i in range(6):
            app.tasks["record"].delay("cut", str(i), 1.0)
        wait_until(lambda: claims(clean_valkey, "n1") == 2, "the node is busy")
        clean_valkey.client().execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        wait_until(lambda: ledger.llen("cut") >= 6 and outstanding(clean_valkey) == 0, "all ran", TIMEOUT)
        assert sorted(ledger.lrange("cut", 0, -1)) == [b"0", b"1", b"2", b"3", b"4", b"5"]


def test_a_restart_of_the_server_loses_nothing(tmp_path: Path) -> None:
    """Nodes would declare each other dead after an outage, or wait for ever."""
    port = servers.free_port()
    options = ["--appendonly", "yes", "--appendfsync", "always", "--dir", str(tmp_path)]
    with servers.redis_server(port, options) as server:
        app = make_app(server.url())
        with worker(server, tmp_path, "a", lease=LEASE), worker(server, tmp_path, "b", lease=LEASE):
            for i in range(40):
                app.tasks["record"].delay("restart", str(i), 0.2)
            wait_until(lambda: outstanding(server) > 0, "nodes are busy")
            server.client().shutdown(nosave=True)
            with servers.redis_server(port, options) as again:
                wait_until(lambda: is_up(again, "a") and is_up(again, "b"), "both are back", TIMEOUT)
                ledger = again.client(63)
                wait_until(lambda: len(set(ledger.lrange("restart", 0, -1))) == 40, "all ran", 60)
                assert state_of(again).client.zcard(state_of(again).keys.lost) == 0
        app.close()


def test_a_solo_node_keeps_its_lease_through_a_long_task(
    app: Celery, clean_valkey: Server, tmp_path: Path
) -> None:
    """A long task on the solo pool, which blocks the event loop, would be given to another node."""
    with worker(clean_valkey, tmp_path, pool="solo", slots=1, lease=1.0):
        result = app.tasks["delivery"].delay(4.0)
        assert result.get(timeout=TIMEOUT)[0] == 1
        assert is_up(clean_valkey, "n1")


def test_a_hanging_event_loop_loses_its_lease_and_its_work_moves(
    app: Celery, clean_valkey: Server, tmp_path: Path
) -> None:
    """A node that is stuck would keep its tasks for as long as its heartbeat thread lives."""
    with (
        worker(clean_valkey, tmp_path, "stuck", lease=1.0, pool="prefork"),
        worker(clean_valkey, tmp_path, "heir", lease=1.0),
    ):
        app.control.broadcast(
            "block", arguments={"seconds": 12}, destination=[f"stuck@{socket.gethostname()}"]
        )
        wait_until(lambda: not is_up(clean_valkey, "stuck"), "the lease of the stuck node runs out", TIMEOUT)
        results = [app.tasks["where"].delay() for _ in range(5)]
        assert {result.get(timeout=TIMEOUT) for result in results} == {"heir"}
        wait_until(lambda: is_up(clean_valkey, "stuck"), "it rejoins when it is awake", TIMEOUT)


def test_sigterm_hands_the_inbox_back_and_finishes_what_runs(
    app: Celery, clean_valkey: Server, tmp_path: Path
) -> None:
    """A rolling restart would strand or double tasks."""
    with worker(clean_valkey, tmp_path, slots=1) as node:
        running = app.tasks["delivery"].delay(2.0)
        wait_until(lambda: claims(clean_valkey, "n1") == 1, "the slot is taken")
        for _ in range(3):
            app.tasks["add"].apply_async((1, 1), placement={"strategy": "round_robin"})
        node.process.send_signal(signal.SIGTERM)
        wait_until(lambda: clean_valkey.client().llen("celery") == 3, "the inbox is back")
        assert running.get(timeout=TIMEOUT)[0] == 1
        assert node.process.wait(TIMEOUT) == 0
        assert state_of(clean_valkey).snapshot() == []
        assert clean_valkey.client().llen("celery") == 3


def test_a_message_that_is_no_message_is_set_aside(app: Celery, clean_valkey: Server, tmp_path: Path) -> None:
    """One bad message would stop the node, or be lost where nobody can look at it."""
    client = clean_valkey.client()
    for bad in (b"\xff\xfe", b"not json", b"[]", b'{"properties": {}}'):
        client.lpush("celery", bad)
    with worker(clean_valkey, tmp_path):
        assert app.tasks["add"].delay(1, 1).get(timeout=TIMEOUT) == 2
        state = state_of(clean_valkey)
        wait_until(lambda: len(state.dead_receipts()) == 4, "all four are set aside")
        assert is_up(clean_valkey, "n1")
        wait_until(lambda: outstanding(clean_valkey) == 0, "no claim is left")


def test_children_that_are_replaced_all_the_time_do_not_deadlock(
    app: Celery, clean_valkey: Server, tmp_path: Path
) -> None:
    """A fork in the moment when the lease's thread holds a lock would hang the child."""
    with worker(
        clean_valkey, tmp_path, pool="prefork", lease=1.0, celery_options=["--max-tasks-per-child", "1"]
    ):
        results = [app.tasks["add"].delay(i, i) for i in range(150)]
        assert [result.get(timeout=100) for result in results] == [2 * i for i in range(150)]


def test_a_node_whose_name_was_taken_over_stops_and_leaves_the_name(
    clean_valkey: Server, tmp_path: Path
) -> None:
    """Broken if two workers of one name fence each other for ever, and run each other's tasks again."""
    with worker(clean_valkey, tmp_path, lease=LEASE) as node:
        state = state_of(clean_valkey)
        mine = state.holder("n1").incarnation
        epoch: Any = state.client.hget(state.keys.node("n1"), "epoch")
        state.reap("n1", 5, epoch.decode())
        state.register("n1", "another", 60_000, ["celery"], {"hostname": "elsewhere", "pid": 7})
        assert node.process.wait(TIMEOUT) == 0
        assert "was taken over by elsewhere (process 7)" in node.text()
        assert mine != state.holder("n1").incarnation == "another"
