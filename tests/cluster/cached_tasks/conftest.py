"""What the tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from celery import Celery
from celery.signals import before_task_publish

from tests.support.app import make_app
from tests.support.nodes import is_up, state_of, worker
from tests.support.replies import texts
from tests.support.servers import Server
from tests.support.waiting import wait_until

TIMEOUT = 30


POOLS = {"a": "threads", "b": "prefork", "c": "threads"}


@pytest.fixture(scope="module")
def shop(valkey: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Celery]:
    """Three nodes for all tests of this file, each of which has names of its own."""
    valkey.client().flushall()
    with ExitStack() as stack:
        for name, pool in POOLS.items():
            stack.enter_context(worker(valkey, tmp_path_factory.mktemp(name), name, pool=pool, ready=False))
        wait_until(lambda: all(is_up(valkey, name) for name in POOLS), "all nodes are up", timeout=60)
        app = make_app(valkey.url())
        yield app
        close(app)


def runs(server: Server, sku: str) -> list[str]:
    """Ids of the tasks that ran the body."""
    return texts(server.client(63).lrange(f"price {sku}", 0, -1))


def close(app: Celery) -> None:
    """Let go of all connections, those to the cache and to the flights as well."""
    results = app.tasks["price"].cached._results
    results._cache().close()
    results.flights.client.connection_pool.disconnect()
    app.close()


@pytest.fixture
def published() -> Iterator[list[str]]:
    """Ids of the tasks that this process publishes."""
    ids: list[str] = []

    def note(headers: Any = None, **_: Any) -> None:
        ids.append(headers["id"])

    before_task_publish.connect(note)
    yield ids
    before_task_publish.disconnect(note)


def node_is_idle(server: Server) -> bool:
    """Whether no node has anything left to do."""
    return sum(node.outstanding for node in state_of(server).snapshot()) == 0
