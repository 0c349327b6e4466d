"""Every node is restarted under load, one after the other."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest
from celery import Celery

from tests.support.nodes import WorkerProcess, state_of, worker
from tests.support.replies import texts
from tests.support.servers import Server
from tests.support.waiting import wait_until

NAMES = ("a", "b", "c")


@pytest.mark.timeout(300)  # each node may take half a minute to end, see docs/chaos.md
def test_a_rolling_restart_loses_and_doubles_nothing(
    app: Celery, clean_valkey: Server, tmp_path: Path
) -> None:
    """Every deployment would lose tasks or run some twice."""
    published: list[str] = []
    over = threading.Event()

    def publish() -> None:
        while not over.wait(0.01):
            task = str(len(published))
            app.tasks["record"].delay("rolling", task, 0.05)
            published.append(task)

    producer = threading.Thread(target=publish)
    with ExitStack() as stack:
        running: dict[str, WorkerProcess] = {
            name: stack.enter_context(worker(clean_valkey, tmp_path, name, pool="prefork")) for name in NAMES
        }
        producer.start()
        try:
            for name in NAMES:
                assert running[name].terminate() == 0
                running[name] = stack.enter_context(worker(clean_valkey, tmp_path, name, pool="prefork"))
        finally:
            over.set()
            producer.join(30)
        ledger = clean_valkey.client(63)
        wait_until(lambda: ledger.llen("rolling") >= len(published), "all ran", timeout=60)
        wait_until(
            lambda: sum(n.outstanding for n in state_of(clean_valkey).snapshot()) == 0, "all is settled"
        )
    ran = Counter(texts(ledger.lrange("rolling", 0, -1)))
    assert ran == Counter(published)
