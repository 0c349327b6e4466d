"""What we touch of a running Celery worker that Celery keeps to itself. Versions: Celery 5.4 to 5.7."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol

from celery.bootsteps import CLOSE, TERMINATE
from celery.concurrency.solo import TaskPool as SoloPool
from celery.exceptions import InvalidTaskError
from celery.platforms import EX_OK
from celery.utils.objects import Bunch
from celery.worker import state as worker_state
from celery.worker.request import Request
from kombu.serialization import prepare_accept_content
from kombu.transport.virtual import Message

from switchyard.errors import one_line

_log = logging.getLogger(__name__)

#: No time limit of a task is longer, in seconds: some 30 years.
_TIME_LIMIT_MAX = 1e9
#: Characters of an error that are kept with a message.
_REASON_MAX = 300


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
    connection_errors: tuple[type[Exception], ...]
    on_task_request: Any
    task_consumer: Any
    loop: Any
    start: Any
    prefetch_multiplier: int
    initial_prefetch_count: int
    cancel_task_queue: Any

    def call_soon(self, fun: Any, *args: Any, **kwargs: Any) -> Any:
        """Call it in the worker's own thread."""


# -- what runs ------------------------------------------------------------------------------------------


def running_tags() -> set[str]:
    """The delivery tags of the messages whose tasks run in the pool now. Any thread may ask."""
    while True:
        try:
            return {request._message.delivery_tag for request in worker_state.active_requests}
        except RuntimeError:  # one started meanwhile
            continue


# -- what the worker is about ---------------------------------------------------------------------------


def slots(consumer: Consumer) -> int:
    """How many tasks the pool runs at a time, with autoscale at most."""
    return getattr(consumer.controller, "max_concurrency", None) or consumer.pool.num_processes or 1


def prefetch_limit(consumer: Consumer) -> int:
    """How many messages the consumer wants to have at a time; 0 is without a limit."""
    return int(consumer.qos.value or 0) if consumer.qos is not None else 0


def without_prefetch(consumer: Consumer) -> None:
    """``worker_disable_prefetch`` as a prefetch count: one message for each slot.

    Celery asks before each wait for one message whether a slot is free; we claim many at once, and others
    place by the count. To be called before the consumer starts.
    """
    if not consumer.app.conf.get("worker_disable_prefetch"):
        return
    of_a_slot, count = consumer.prefetch_multiplier, consumer.initial_prefetch_count
    consumer.initial_prefetch_count = count // of_a_slot if of_a_slot else consumer.controller.concurrency
    consumer.prefetch_multiplier = 1


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


def forget_what_is_not_due(consumer: Consumer) -> None:
    """Tasks with an ETA, when the connection that brought them is lost: their messages are claimed again.

    From 5.7 on Celery does it. Before 5.6 it clears the timer, in 5.6 only where there is an event loop.
    """
    if not hasattr(worker_state, "scheduled_requests"):
        consumer.timer.clear()


def when_a_queue_is_left(consumer: Consumer, tell: Callable[[], None]) -> None:
    """Let it be told when the consumer was made to leave a queue (``celery control cancel_consumer``)."""
    celerys = consumer.cancel_task_queue

    def cancel_task_queue(queue: Any) -> None:
        celerys(queue)
        tell()

    consumer.cancel_task_queue = cancel_task_queue


# -- what Celery does not run ---------------------------------------------------------------------------


def keep_what_is_refused(consumer: Consumer) -> None:
    """Let messages that Celery would throw away be set aside: those that it can't read, run or allow.

    What a task of the user's rejects or ignores stays Celery's.
    """
    for hook, reason in _REFUSALS.items():
        setattr(consumer, hook, _refusing(getattr(consumer, hook), reason))
    controller = consumer.controller
    process = controller._process_task
    controller._process_task = _keeping(process, controller, consumer.connection_errors)
    if consumer.on_task_request == process:
        consumer.on_task_request = controller._process_task


#: Where Celery throws a message away: the message, why, and whether Celery tells those who wait for it.
_REFUSALS: dict[str, Callable[..., tuple[Any, str, bool]]] = {
    "on_unknown_message": lambda body, message: (message, "its headers name no task", False),
    "on_unknown_task": lambda body, message, exc: (message, f"no task of the name {exc} is known here", True),
    "on_invalid_task": lambda body, message, exc: (message, one_line(exc), False),
    "on_decode_error": lambda message, exc: (message, one_line(exc), False),
}


def _refusing(celerys: Callable[..., Any], reads: Callable[..., tuple[Any, str, bool]]) -> Callable[..., Any]:
    def refuse(*args: Any) -> Any:
        message, reason, callers_know = reads(*args)
        message.refuse(" ".join(reason.split())[:_REASON_MAX], callers_know)
        return celerys(*args)

    return refuse


def _keeping(
    process: Callable[[Any], Any], controller: Any, connection_errors: tuple[type[Exception], ...]
) -> Callable[[Any], Any]:
    """Celery's hand-over of a request to the pool, which may be long after the message was delivered."""

    def process_task(request: Any) -> Any:
        try:
            _check(request)
            return process(request)
        except connection_errors:
            raise
        except Exception as exc:
            if is_stopping():
                raise  # a pool that is closed: the message goes back when the node leaves
            _log.exception("Task %s can't be run", request.humaninfo())
            request.message.refuse(one_line(exc))
            request.reject()
            worker_state.task_ready(request)
            if (release := getattr(controller, "_quick_release", None)) is not None:
                release()  # the slot that it was given
            return None

    return process_task


def _check(request: Any) -> None:
    """Raises InvalidTaskError for what would end the worker, or keep its slot, once the pool has the task."""
    if not (isinstance(request.id, str) and isinstance(request.name, str)):
        raise InvalidTaskError(f"invalid id or name: {request.id!r}, {request.name!r}")
    for limit in request.time_limits:
        if limit is not None and not (isinstance(limit, int | float) and abs(limit) < _TIME_LIMIT_MAX):
            raise InvalidTaskError(f"invalid time limit {limit!r}")


# -- what callers see -----------------------------------------------------------------------------------


def fail(app: Any, channel: Any, payload: dict[str, Any], error: Exception) -> None:
    """Make the result of the task in this message a failure, as Celery does for a lost worker.

    Raises what reading the message's headers or reaching the result backend raises.
    """
    message = Message(payload, channel=channel)
    message.accept = prepare_accept_content(app.conf.accept_content)
    task = app.tasks.get(message.headers.get("task"))
    known = None if task is None else _request(app, task, message)
    if known is None:
        request = Bunch(name=message.headers.get("task"), chord=None, root_id=None, errbacks=None)
        app.backend.mark_as_failure(message.headers["id"], error, request=request)
        return
    task.backend.mark_as_failure(known.id, error, request=known._context, store_result=known.store_errors)


def _request(app: Any, task: Any, message: Message) -> Request | None:
    """The task that a message asks for, None if its body can't be read or must not be."""
    try:
        return Request(message, app=app, task=task, body=message.body, headers=message.headers, decoded=False)
    except Exception:
        return None
