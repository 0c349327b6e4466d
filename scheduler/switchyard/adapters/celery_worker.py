"""What we touch of a running Celery worker that Celery keeps to itself. Versions: Celery 5.4 to 5.7."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, Protocol

from billiard.exceptions import WorkerLostError
from celery.bootsteps import CLOSE, RUN, TERMINATE
from celery.concurrency.solo import TaskPool as SoloPool
from celery.platforms import EX_OK
from celery.utils.objects import Bunch
from celery.worker import state as worker_state
from celery.worker.request import Request
from kombu.transport.virtual import Message
from kombu.utils.imports import symbol_by_name


class Consumer(Protocol):
    """What we use of Celery's consumer."""

    app: Any
    hostname: str
    controller: Any
    pool: Any
    timer: Any
    hub: Any
    qos: Any
    blueprint: Any
    connection: Any
    task_consumer: Any

    def call_soon(self, fun: Any, *args: Any, **kwargs: Any) -> Any:
        """Call it in the worker's own thread."""


# -- what runs ------------------------------------------------------------------------------------------


def running() -> int:
    """How many tasks run in the pool now."""
    return len(worker_state.active_requests)


def running_tags() -> set[str]:
    """The delivery tags of the messages whose tasks run in the pool now."""
    return {request._message.delivery_tag for request in worker_state.active_requests}


# -- what the worker is about ---------------------------------------------------------------------------


def slots(consumer: Consumer) -> int:
    """How many tasks the pool runs at a time, with autoscale at most."""
    return getattr(consumer.controller, "max_concurrency", None) or consumer.pool.num_processes or 1


def prefetch_limit(consumer: Consumer) -> int:
    """How many messages the consumer wants to have at a time; 0 is without a limit."""
    return int(consumer.qos.value or 0) if consumer.qos is not None else 0


def is_consuming(consumer: Consumer) -> bool:
    """Whether the consumer is neither connecting again nor stopping."""
    return consumer.connection is not None and consumer.blueprint.state == RUN


def is_closing(consumer: Consumer) -> bool:
    """Whether the consumer ends for good, not only to connect again."""
    return consumer.blueprint.state in (CLOSE, TERMINATE)


def is_stopping() -> bool:
    """Whether this worker process was told to stop."""
    return worker_state.should_stop is not None or worker_state.should_terminate is not None


def stop() -> None:
    """Let this worker process finish what runs, and end: as SIGTERM does."""
    worker_state.should_stop = EX_OK


def runs_tasks_itself(consumer: Consumer) -> bool:
    """Whether the event loop stands still while a task runs, since the pool is solo."""
    return isinstance(consumer.pool, SoloPool)


# -- deaths of pool processes ---------------------------------------------------------------------------


class CountsDeaths:
    """Celery's request of a task, which marks its message when the process that ran it has died.

    Celery puts such a message back (``task_reject_on_worker_lost``), without a count.
    """

    message: Any

    def on_failure(self, exc_info: Any, *args: Any, **options: Any) -> Any:
        """What Celery does; the mark tells our QoS why the message is rejected."""
        error = getattr(exc_info.exception, "exc", exc_info.exception)
        self.message.process_died = isinstance(error, WorkerLostError | SystemExit | KeyboardInterrupt)
        return super().on_failure(exc_info, *args, **options)  # type: ignore[misc]


def count_deaths(tasks: Iterable[Any]) -> None:
    """Let the requests of these tasks count, whatever request class they have."""
    for task in tasks:
        task.Request = _counting(symbol_by_name(task.Request))


@cache
def _counting(request: Any) -> Any:
    counts = issubclass(request, CountsDeaths)
    return request if counts else type(request.__name__, (CountsDeaths, request), {})


# -- what callers see -----------------------------------------------------------------------------------


def fail(app: Any, channel: Any, payload: dict[str, Any], error: Exception) -> None:
    """Make the result of the task in this message a failure, as Celery does for a lost worker.

    With its chord, errbacks and all. Raises what reading the message or reaching the result backend raises.
    """
    message = Message(payload, channel=channel)
    name = message.headers.get("task")
    task = app.tasks.get(name)
    if task is None:
        request = Bunch(name=name, chord=None, root_id=None, errbacks=None)
        app.backend.mark_as_failure(message.headers["id"], error, request=request)
        return
    known = Request(message, app=app, task=task, body=message.body, headers=message.headers, decoded=False)
    task.backend.mark_as_failure(known.id, error, request=known._context, store_result=known.store_errors)
