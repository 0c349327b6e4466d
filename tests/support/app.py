"""The Celery application that worker processes of tests run; also used in the test process itself."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import Any

from celery import Celery, signals
from celery.exceptions import Ignore, Reject
from celery.worker.control import control_command

import switchyard


class _App(Celery):
    """An application of which nothing is left once it is closed."""

    def close(self) -> None:
        """Before Celery 5.7 a result that is collected later would connect again, to say that it is gone."""
        if (consumer := getattr(self.backend, "result_consumer", None)) is not None:
            consumer.stop()
            consumer._pubsub = None
        super().close()


def make_app(broker: str, settings: switchyard.Settings | None = None, stock: bool = False) -> Celery:
    """A fresh application on this broker, with the results beside the tasks."""
    # A broker may be several to fail over along; results have one place.
    app = _App("tests", broker=broker, backend=broker.partition(";")[0], set_as_current=False)
    app.conf.update(worker_hijack_root_logger=True, broker_connection_retry_on_startup=True)
    if stock:
        app.conf.update(task_acks_late=True, worker_prefetch_multiplier=1)
    else:
        switchyard.install(app, settings)
    _define(app)
    return app


def _define(app: Celery) -> None:
    @app.task(shared=False, name="add")
    def add(x: int, y: int) -> int:
        return x + y

    @app.task(shared=False, name="total")
    def total(numbers: list[int]) -> int:
        return sum(numbers)

    @app.task(shared=False, name="noop", ignore_result=True)
    def noop() -> None:
        return None

    @app.task(shared=False, name="nap")
    def nap(seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    @app.task(shared=False, name="record", ignore_result=True)
    def record(key: str, value: str, seconds: float = 0.0) -> None:
        """Append to an independent ledger, a list in database 63."""
        time.sleep(seconds)
        _ledger(app).rpush(key, value)

    @app.task(shared=False, name="jot", ignore_result=True)
    def jot(path: str, line: str, seconds: float = 0.0) -> None:
        """Append a line to a file: as quick as a task can be that leaves a trace."""
        time.sleep(seconds)
        with open(path, "a", encoding="utf-8") as ledger:  # noqa: PTH123 - this is what makes it quick
            ledger.write(f"{line}\n")

    @app.task(shared=False, name="jot.again", bind=True, ignore_result=True)
    def jot_again(self: Any, path: str, seconds: float) -> None:
        """Leave a line each time; ask to be run again the first time."""
        time.sleep(seconds)
        with open(path, "a+", encoding="utf-8") as ledger:  # noqa: PTH123
            ledger.write("ran\n")
            ledger.seek(0)
            times = len(ledger.readlines())
        if times == 1:
            raise self.retry(countdown=0)

    @app.task(shared=False, name="where", bind=True)
    def where(self: Any, seconds: float = 0.0) -> str:
        time.sleep(seconds)
        return str(self.request.hostname).partition("@")[0]

    @app.task(shared=False, name="sign", bind=True, ignore_result=True)
    def sign(self: Any, key: str) -> None:
        """Leave the node's name in the ledger."""
        _ledger(app).rpush(key, str(self.request.hostname).partition("@")[0])

    @app.task(shared=False, name="poison")
    def poison() -> None:
        """Kill the node that runs it: the process group, pool and all."""
        os.killpg(os.getpgid(0), signal.SIGKILL)

    @app.task(shared=False, name="crash")
    def crash() -> None:
        """Kill the pool process that runs it, and nothing else."""
        os.kill(os.getpid(), signal.SIGKILL)

    @app.task(shared=False, name="refuse")
    def refuse(how: str) -> None:
        """Throw itself away."""
        raise Reject("as asked", requeue=False) if how == "reject" else Ignore()

    @app.task(shared=False, name="again", bind=True)
    def again(self: Any, times: int) -> int:
        """Ask to be delivered again, so many times."""
        mine = switchyard.current_delivery()
        assert mine is not None
        if mine.count <= times:
            raise Reject("as asked", requeue=True)
        return mine.count

    if os.environ.get("TEST_LATE"):

        @app.task(shared=False, name="late")
        def late(x: int, y: int) -> int:
            """A task that older workers do not know."""
            return x + y

    @app.task(shared=False, name="exhaust")
    def exhaust() -> None:
        """Fail in the one way that Celery's own telling of it fails in."""
        raise MemoryError("as asked")

    @app.task(shared=False, name="leave")
    def leave() -> None:
        """End the process that runs it, as far as that goes."""
        raise SystemExit(3)

    @app.task(shared=False, name="delivery")
    def delivery(seconds: float = 0.0) -> list[int]:
        time.sleep(seconds)
        mine = switchyard.current_delivery()
        assert mine is not None
        return [mine.count, mine.token]

    @app.task(shared=False, name="redelivery", bind=True)
    def redelivery(self: Any, seconds: float) -> list[Any]:
        """How often it was delivered, and whether Celery thinks that it was before."""
        mine = switchyard.current_delivery()
        assert mine is not None
        if mine.count == 1:
            time.sleep(seconds)
        return [mine.count, self.request.delivery_info["redelivered"]]

    @app.task(shared=False, name="flaky", bind=True, max_retries=3, default_retry_delay=0)
    def flaky(self: Any, fail: int) -> int:
        if self.request.retries < fail:
            raise self.retry(countdown=0)
        return int(self.request.retries)

    @app.task(shared=False, name="fail")
    def fail() -> None:
        raise ValueError("as asked")

    @app.task(shared=False, name="price", bind=True, max_retries=3)
    @switchyard.cached(ttl=60, key="{sku}:{currency}")
    def price(self: Any, sku: str, currency: str = "EUR", seconds: float = 0.0, fail: int = 0) -> str:
        """Leave a mark in the ledger; the first ``fail`` times there, retry or (``fail`` < 0) fail."""
        runs = _ledger(app).rpush(f"price {sku}", self.request.id)
        time.sleep(seconds)
        if runs <= fail:
            raise self.retry(countdown=0.5)
        if runs <= -fail:
            raise ValueError("as asked")
        return f"{sku} {currency} {runs}"

    for on_locked in ("retry", "skip", "wait"):
        _define_exclusive(app, on_locked)


def _define_exclusive(app: Celery, on_locked: Any) -> None:
    @app.task(shared=False, name=f"alone.{on_locked}", max_retries=0, bind=True)
    @switchyard.exclusive("{key}", on_locked, ttl=2, countdown=0.2, wait=20)
    def alone(self: Any, key: str, seconds: float = 0.0) -> list[int]:
        """How many run at once, counted on an independent server; the token; retries of the task's own."""
        inside = _ledger(app).incr(f"inside:{key}")
        time.sleep(seconds)
        _ledger(app).decr(f"inside:{key}")
        held = switchyard.current_lock()
        return [inside, held.token if held else 0, self.request.retries]


def _ledger(app: Celery) -> Any:
    import redis

    return redis.Redis.from_url(app.conf.broker_url.rpartition("/")[0] + "/63")


@signals.worker_shutting_down.connect
def take_long_to_stop(**_: Any) -> None:
    """Let the worker's own handler of SIGTERM take its time."""
    time.sleep(float(os.environ.get("TEST_STOPS_FOR", "0")))


@control_command(args=[("seconds", float)])
def block(state: Any, seconds: float) -> str:
    """Let the event loop hang."""
    time.sleep(seconds)
    return "awake"


@control_command()
def break_loop(state: Any) -> str:
    """End the worker by an error in its event loop."""

    def fail() -> None:
        raise RuntimeError("as asked")

    state.consumer.call_soon(fail)
    return "as asked"


if "TEST_BROKER" in os.environ:
    app = make_app(os.environ["TEST_BROKER"], stock=os.environ.get("TEST_STOCK") == "1")
    app.conf.broker_transport_options = json.loads(os.environ.get("TEST_TRANSPORT_OPTIONS", "{}"))
    app.conf.update(json.loads(os.environ.get("TEST_CONF", "{}")))
