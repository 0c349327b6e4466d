"""The Celery application of both sides; the environment says which one a worker process is."""

from __future__ import annotations

import functools
import os
import time

import redis
from celery import Celery

import switchyard
from benchmarks.sides import LEDGER_DB, Side

#: Environment variables that tell a worker process its side and its broker.
SIDE, BROKER = "BENCHMARK_SIDE", "BENCHMARK_BROKER"


def make_app(side: Side, broker: str) -> Celery:
    """An application whose only difference between the sides is ``switchyard.install``."""
    app = Celery("benchmark", broker=broker, set_as_current=False)
    app.conf.update(
        task_acks_late=True, worker_prefetch_multiplier=1, broker_connection_retry_on_startup=True
    )
    if side is Side.OURS:
        switchyard.install(app)
    _define(app, broker)
    return app


def _define(app: Celery, broker: str) -> None:
    @app.task(name="noop", ignore_result=True, shared=False)
    def noop() -> None:
        return None

    @app.task(name="stamp", ignore_result=True, shared=False)
    def stamp(key: str) -> None:
        """Report when it started: CLOCK_MONOTONIC is the same for all processes of a Linux machine."""
        started = time.monotonic()
        _ledger(broker).rpush(key, repr(started))


@functools.cache
def _ledger(broker: str) -> redis.Redis:
    return redis.Redis.from_url(f"{broker.rpartition('/')[0]}/{LEDGER_DB}")


if SIDE in os.environ:
    app = make_app(Side(os.environ[SIDE]), os.environ[BROKER])
