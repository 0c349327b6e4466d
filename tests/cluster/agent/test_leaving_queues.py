"""A node that leaves a queue does not keep what was placed on it for that queue."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from tests.support.nodes import known, worker
from tests.support.servers import Server
from tests.support.waiting import wait_until

LEASE = 2.0
#: Seconds for which the leaving node is busy, much longer than a task may stand still.
BUSY = 20.0
TIMEOUT = 12


@contextmanager
def busy_with_an_inbox(
    app: Celery, server: Server, path: Path, queues: str, queue: str
) -> Iterator[list[Any]]:
    """A node with one slot that is taken, and three tasks of a queue placed behind."""
    with worker(server, path, "leaves", slots=1, queues=queues, lease=LEASE):
        app.tasks["nap"].apply_async((BUSY,), queue=queue)
        wait_until(lambda: known(server, "leaves").load.active == 1, "it is busy")
        how = {"strategy": "round_robin"}
        results = [app.tasks["where"].apply_async(queue=queue, placement=how) for _ in range(3)]
        wait_until(lambda: known(server, "leaves").inbox == 3, "three are placed on it")
        with worker(server, path, "heir", queues=queue, lease=LEASE):
            yield results


@pytest.mark.parametrize("queues", ["jobs", "jobs,others"])
def test_a_queue_that_is_cancelled_takes_its_inbox_along(
    app: Celery, clean_valkey: Server, tmp_path: Path, queues: str
) -> None:
    """Broken if tasks wait on a node that does not serve their queue any more, beside idle nodes."""
    with busy_with_an_inbox(app, clean_valkey, tmp_path, queues, "jobs") as results:
        app.control.cancel_consumer("jobs", destination=None)
        app.control.add_consumer("jobs", destination=[heir_of(app)])
        assert {result.get(timeout=TIMEOUT) for result in results} == {"heir"}
        wait_until(lambda: "jobs" not in known(clean_valkey, "leaves").queues, "it says so")
        assert app.tasks["where"].apply_async(queue="jobs").get(timeout=TIMEOUT) == "heir"


def heir_of(app: Celery) -> str:
    """The full name of the second node."""
    return next(str(name) for name in app.control.inspect().ping() if name.startswith("heir@"))


@pytest.mark.parametrize("options", [["-X", "jobs"], []], ids=["excluded", "other queues"])
def test_a_node_that_restarts_with_other_queues_keeps_nothing_of_the_old_ones(
    app: Celery, clean_valkey: Server, tmp_path: Path, options: list[str]
) -> None:
    """Broken if what was placed on the node before waits on the one that has its name now."""
    with worker(clean_valkey, tmp_path, "leaves", slots=1, queues="jobs", lease=LEASE) as first:
        app.tasks["nap"].apply_async((BUSY,), queue="jobs")
        wait_until(lambda: known(clean_valkey, "leaves").load.active == 1, "it is busy")
        how = {"strategy": "round_robin"}
        results = [app.tasks["where"].apply_async(queue="jobs", placement=how) for _ in range(3)]
        wait_until(lambda: known(clean_valkey, "leaves").inbox == 3, "three are placed on it")
        first.process.send_signal(signal.SIGKILL)
        first.kill()
    queues = "jobs,others" if options else "others"
    with (
        worker(clean_valkey, tmp_path, "leaves", queues=queues, celery_options=options, lease=LEASE) as node,
        worker(clean_valkey, tmp_path, "heir", queues="jobs", lease=LEASE),
    ):
        assert {result.get(timeout=BUSY + TIMEOUT) for result in results} == {"heir"}
        assert known(clean_valkey, "leaves").queues == {"others"}
        assert node.process.poll() is None
