"""A task that a node gave back says so when it runs again."""

from __future__ import annotations

import signal
from pathlib import Path

from celery import Celery

from tests.support.nodes import known, worker
from tests.support.servers import Server
from tests.support.waiting import wait_until


def test_a_task_of_a_node_that_was_told_to_quit_is_redelivered(
    app: Celery, clean_valkey: Server, tmp_path: Path
) -> None:
    """Broken if worker_deduplicate_successful_tasks runs a task again that was done before its node left."""
    with worker(clean_valkey, tmp_path, "first", slots=1, pool="prefork") as first:
        result = app.tasks["redelivery"].delay(60.0)
        wait_until(lambda: known(clean_valkey, "first").load.active == 1, "the task runs")
        first.process.send_signal(signal.SIGQUIT)
        first.process.wait(40)
    with worker(clean_valkey, tmp_path, "second", slots=1, ready=False):
        assert result.get(timeout=60) == [2, True]
