"""A node that is told to stop: what it has begun is counted once, and it is gone as soon as that is done."""

from __future__ import annotations

import time
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from tests.support.app import make_app
from tests.support.nodes import state_of, worker
from tests.support.servers import Server
from tests.support.waiting import wait_until

STOPS = 3
TASKS = 3000
#: Seconds that a node may take to end; a child of billiard's that is not heard waits for 30.
PATIENCE = 10


@pytest.mark.timing
@pytest.mark.timeout(180)
def test_results_that_are_in_a_pipe_at_sigterm_are_counted(clean_valkey: Server, tmp_path: Path) -> None:
    """Broken if a stopping node forgets what its pool has begun: that runs again, and it ends 30 s later."""
    app, ledger = make_app(clean_valkey.url()), tmp_path / "ledger"
    ledger.touch()
    with app.pool.acquire(block=True) as connection, connection.Producer() as producer:
        for number in range(TASKS):
            app.send_task("jot", (str(ledger), str(number)), producer=producer)
    stops = []
    for _ in range(STOPS):
        with worker(clean_valkey, tmp_path, pool="prefork", slots=4) as node:
            size = ledger.stat().st_size
            wait_until(partial(_has_grown, ledger, size + 200), "tasks run", 60)
            began = time.monotonic()
            node.terminate()
            stops.append(time.monotonic() - began)
    with worker(clean_valkey, tmp_path, pool="prefork", slots=4):
        state = state_of(clean_valkey)
        wait_until(lambda: state.size(["celery"]) == 0, "all tasks are taken", 60)
        wait_until(lambda: sum(node.outstanding for node in state.snapshot()) == 0, "all is settled", 60)
    runs = Counter(ledger.read_text().split())
    assert {number: count for number, count in runs.items() if count > 1} == {}
    assert len(runs) == TASKS
    assert max(stops) < PATIENCE, stops


def _has_grown(file: Path, size: int) -> bool:
    return file.stat().st_size > size
