"""Connections that fall silent: nothing comes, and nothing says that it never will."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from celery import Celery

from tests.support.nodes import is_up, known, state_of, worker
from tests.support.proxy import proxy_of
from tests.support.servers import Server
from tests.support.waiting import wait_until

LEASE = 2.0
TASKS = 30


def lines(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


@pytest.mark.parametrize("old", [True, False], ids=["for a while", "for good"])
@pytest.mark.parametrize("pool", ["threads", "prefork", "solo", "gevent"])
def test_a_node_whose_connections_all_fall_silent_comes_back(
    old: bool, pool: str, app: Celery, clean_valkey: Server, tmp_path: Path
) -> None:
    """Broken if a partition that closes nothing leaves a node hanging after it is over, or loses a task."""
    path = tmp_path / "lines"
    slots = 1 if pool == "solo" else 2
    with proxy_of(clean_valkey.port) as proxy:
        env = {"TEST_BROKER": proxy.url()}
        with worker(clean_valkey, tmp_path, slots=slots, pool=pool, lease=LEASE, env=env) as node:
            for number in range(TASKS):
                app.tasks["jot"].delay(str(path), str(number), 0.1)
            wait_until(lambda: len(lines(path)) > 3, "tasks run")
            proxy.silence()
            threading.Event().wait(5 * LEASE)
            proxy.heal(old)
            wait_until(lambda: is_up(clean_valkey, "n1"), f"it is back: {node.text()}", 10 * LEASE)
            wait_until(lambda: set(lines(path)) == set(map(str, range(TASKS))), "all tasks ran", 10 * LEASE)
            wait_until(lambda: known(clean_valkey, "n1").outstanding == 0, "all are settled", 5 * LEASE)
        assert state_of(clean_valkey).dead_count() == 0


def waits_on_its_bell(server: Server) -> int:
    """The port of the connection on which the one node waits, as the server sees it."""
    clients = (each for each in server.client().client_list() if each["cmd"] == "blpop")
    return int(next((each["addr"].rpartition(":")[2] for each in clients), 0))


@pytest.mark.parametrize("pool", ["threads", "gevent"])
def test_claims_whose_reply_is_lost_come_back_within_leases(
    pool: str, app: Celery, clean_valkey: Server, tmp_path: Path
) -> None:
    """Broken if a node that keeps its lease waits for an answer for ever, or keeps what it never got."""
    path = tmp_path / "lines"
    with proxy_of(clean_valkey.port) as proxy:
        env = {"TEST_BROKER": proxy.url()}
        with worker(clean_valkey, tmp_path, slots=1, pool=pool, lease=LEASE, env=env) as node:
            port = wait_until(lambda: waits_on_its_bell(clean_valkey), "it waits for work")
            for number in range(10):
                app.tasks["jot"].delay(str(path), str(number), 0.2)
            wait_until(lambda: len(lines(path)) > 2, "tasks run")
            proxy.silence_answers_to(port)
            wait_until(lambda: len(lines(path)) == 10, f"all tasks ran: {node.text()}", 6 * LEASE)
            wait_until(lambda: known(clean_valkey, "n1").outstanding == 0, "all are settled", 3 * LEASE)
            assert "does not answer any more" in node.text()
            assert "fenced" not in node.text()
    assert sorted(map(int, lines(path))) == list(range(10))
