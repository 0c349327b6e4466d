"""The Celery application that chaos drives; ``CHAOS_ENGINE`` makes it ours or stock."""

from __future__ import annotations

import json
import logging
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from celery import Celery
from celery.signals import after_setup_logger, worker_ready

import switchyard
from tests.chaos.evidence.ledger import Writer

#: Name of Celery's default queue, which is also the list that it is in.
QUEUE = "celery"
#: Which code a node runs: the new one knows a task more.
CODE, NEW = "CHAOS_CODE", "new"


def configured(broker: str, engine: str, transport_options: Mapping[str, Any]) -> Celery:
    """An application without results, which may publish: the ledger is the only witness."""
    app = Celery("chaos", broker=broker, set_as_current=False)
    app.conf.update(broker_connection_retry_on_startup=True, broker_transport_options=transport_options)
    app.conf.update(broker_connection_max_retries=None)
    if engine == "stock":
        app.conf.update(task_acks_late=True, task_reject_on_worker_lost=True, worker_prefetch_multiplier=1)
    else:
        switchyard.install(app)
    return app


def _define(app: Celery) -> None:
    """What workers run. Importing ``block`` gives them the command to let their event loop hang."""
    from tests.support.app import block  # noqa: F401

    folder = Path(os.environ["CHAOS_FOLDER"])
    node = os.environ.get("CHAOS_NODE", "")
    writer = Writer(folder / "runs", node)

    @app.task(shared=False, name="work", bind=True, ignore_result=True)
    def work(self: Any, seconds: float) -> None:
        """Note the start, take so long, note the end."""
        task, attempt = self.request.id, writer.attempt()
        writer.write(task, node, attempt, "start")
        time.sleep(seconds)
        writer.write(task, node, attempt, "end")

    @app.task(shared=False, name="compute", bind=True, ignore_result=True)
    def compute(self: Any, seconds: float) -> None:
        """Keep a processor busy for so long."""
        task, attempt = self.request.id, writer.attempt()
        writer.write(task, node, attempt, "start")
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            sum(range(1000))
        writer.write(task, node, attempt, "end")

    @app.task(shared=False, name="poison", ignore_result=True)
    def poison() -> None:
        """End the whole node, whatever its pool, as a machine does that runs out of memory."""
        os.killpg(os.getpgrp(), signal.SIGKILL)

    if os.environ.get(CODE) == NEW:

        @app.task(shared=False, name="fresh", bind=True, ignore_result=True)
        def fresh(self: Any) -> None:
            """What only the new code knows."""
            task, attempt = self.request.id, writer.attempt()
            writer.write(task, node, attempt, "start")
            writer.write(task, node, attempt, "end")

    @worker_ready.connect(weak=False)
    def ready(**_: Any) -> None:
        (folder / f"{node}.{os.getpid()}.ready").touch()

    @after_setup_logger.connect(weak=False)
    def less(**_: Any) -> None:
        for name in ("celery.app.trace", "celery.worker.strategy"):
            logging.getLogger(name).setLevel(logging.WARNING)


if "CHAOS_BROKER" in os.environ:
    app = configured(
        os.environ["CHAOS_BROKER"],
        os.environ["CHAOS_ENGINE"],
        json.loads(os.environ.get("CHAOS_TRANSPORT_OPTIONS", "{}")),
    )
    _define(app)
