"""Two servers: one to fail over to, and one to read from while producers write to another."""

from __future__ import annotations

import base64
import json
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from tests.support import servers
from tests.support.app import make_app
from tests.support.nodes import claims_of, is_up, known, node_of, state_of, worker
from tests.support.servers import Server
from tests.support.waiting import wait_until

LEASE = 2.0
TASKS = 20


def lines(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def kill(server: Server) -> None:
    os.kill(server.client().info("server")["process_id"], signal.SIGKILL)
    wait_until(lambda: not servers.answers(server), "it is gone")


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Server, Server]]:
    """Two servers; what the first one has survives it."""
    with (
        servers.redis_server(servers.free_port(), options(tmp_path)) as first,
        servers.redis_server(servers.free_port(), []) as second,
    ):
        yield first, second


def options(folder: Path) -> list[str]:
    (folder / "aof").mkdir(exist_ok=True)
    return ["--appendonly", "yes", "--appendfsync", "always", "--dir", str(folder / "aof")]


def publish(app: Celery, path: Path, *numbers: int, seconds: float = 0.1) -> None:
    for number in numbers:
        app.tasks["jot"].delay(str(path), str(number), seconds)


def waiting(server: Server) -> set[str]:
    """The numbers of the tasks that wait on the shared queue."""
    bodies = (json.loads(message)["body"] for message in server.client().lrange("celery", 0, -1))
    return {json.loads(base64.b64decode(body))[0][1] for body in bodies}


@pytest.mark.parametrize("pool", ["threads", "prefork", "gevent"])
def test_a_node_follows_its_consumer_to_the_other_server_and_back(
    pool: str, pair: tuple[Server, Server], tmp_path: Path
) -> None:
    """Broken if a node whose server died takes nothing from the one that its consumer found."""
    first, second = pair
    both = f"{first.url()};{second.url()}"
    path = tmp_path / "lines"
    app = make_app(both)
    with (
        ExitStack() as again,
        worker(first, tmp_path, lease=LEASE, pool=pool, env={"TEST_BROKER": both}) as node,
    ):
        publish(app, path, 1000, seconds=6.0)
        publish(app, path, *range(TASKS), seconds=0.2)
        wait_until(lambda: len(lines(path)) > 3, "tasks run")
        kill(first)
        publish(app, path, *range(100, 100 + TASKS))
        wait_until(lambda: is_up(second, "n1"), f"the node is on the other server: {node.text()}", 30)
        wait_until(
            lambda: set(map(str, range(100, 100 + TASKS))) <= set(lines(path)), "its tasks run there", 30
        )
        wait_until(lambda: "1000" in lines(path), "what ran goes on", 30)

        revived = again.enter_context(servers.redis_server(first.port, options(tmp_path)))
        wait_until(lambda: node_of(revived, "n1") is None, "it has left the first server", 20)
        assert is_up(second, "n1")
        left = {str(number) for number in range(TASKS)} - set(lines(path))
        assert waiting(revived) == left != set(), node.text()
        wait_until(lambda: known(second, "n1").outstanding == 0, "all are settled there")

        kill(second)
        wait_until(lambda: is_up(revived, "n1"), "it is back on the first server", 30)
        wait_until(lambda: len(lines(path)) >= 2 * TASKS + 1, "all tasks ran", 30)
        wait_until(lambda: known(revived, "n1").outstanding == 0, "all are settled")
        assert sorted(map(int, lines(path))) == [*range(TASKS), *range(100, 100 + TASKS), 1000]
    app.close()


def test_a_node_reads_from_one_server_while_producers_write_to_another(
    pair: tuple[Server, Server], tmp_path: Path
) -> None:
    """Broken if the node's state is not where it consumes: it would claim and be fenced without an end."""
    first, second = pair
    path = tmp_path / "lines"
    app = make_app(first.url())
    app.conf.update(broker_write_url=second.url())
    env = {"CELERY_BROKER_READ_URL": first.url(), "CELERY_BROKER_WRITE_URL": second.url()}
    with worker(first, tmp_path, lease=LEASE, env=env):
        publish(app, path, 1)
        assert second.client().llen("celery") == 1
        message: Any = second.client().rpop("celery")
        first.client().lpush("celery", message)
        wait_until(lambda: lines(path) == ["1"], "it runs")
        wait_until(lambda: claims_of(first, "n1") == 0, "it is settled")
        assert state_of(second).snapshot() == []
    app.close()
