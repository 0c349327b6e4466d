"""What we touch of a running Celery worker that Celery keeps to itself. Versions: Celery 5.4 to 5.7."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import Any, Protocol

from billiard.einfo import ExceptionInfo
from billiard.exceptions import WorkerLostError
from celery.bootsteps import CLOSE, RUN, TERMINATE
from celery.concurrency.prefork import TaskPool as PreforkPool
from celery.concurrency.solo import TaskPool as SoloPool
from celery.exceptions import InvalidTaskError
from celery.platforms import EX_OK
from celery.utils.objects import Bunch
from celery.worker import state as worker_state
from celery.worker.request import Request
from kombu.serialization import prepare_accept_content
from kombu.transport.virtual import Message
from kombu.utils.imports import symbol_by_name

from switchyard.adapters.celery_task import run_again_if_its_retry_is_lost

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

    Celery puts such a message back (``task_reject_on_worker_lost``), without a count. Where Celery fails to
    tell the end of a task (no result can be written, a callback is none), it forgets the message. That is
    marked as well.
    """

    message: Any
    time_start: float | None

    def __init__(self, message: Any, *args: Any, **options: Any) -> None:
        super().__init__(message, *args, **options)  # type: ignore[call-arg]
        message.taken_by = weakref.ref(self)

    def on_failure(self, exc_info: Any, *args: Any, **options: Any) -> Any:
        """What Celery does; the mark tells our QoS why the message is rejected."""
        error = getattr(exc_info.exception, "exc", exc_info.exception)
        self.message.process_died = isinstance(error, WorkerLostError | SystemExit | KeyboardInterrupt)
        run_again_if_its_retry_is_lost(error)
        with self._marked_if_it_fails():
            return super().on_failure(exc_info, *args, **options)  # type: ignore[misc]

    def on_timeout(self, *args: Any) -> Any:
        """What Celery does."""
        with self._marked_if_it_fails():
            return super().on_timeout(*args)  # type: ignore[misc]

    @contextmanager
    def _marked_if_it_fails(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.message.is_over = True
            raise

    def reject(self, requeue: bool = False) -> None:
        """What Celery does; a task that it rejects for good before it ran is set aside."""
        if not requeue and self.time_start is None:
            self.message.refuse("Celery rejected it before it ran; the node's log says why")
        super().reject(requeue=requeue)  # type: ignore[misc]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Celery makes a subclass for each task, whose on_success knows nothing of a task that exits."""
        super().__init_subclass__(**kwargs)
        if "on_success" in vars(cls):
            cls.on_success = _of_an_exit(cls.on_success)  # type: ignore[attr-defined]


def count_deaths(tasks: Iterable[Any]) -> None:
    """Let the requests of these tasks count, whatever request class they have."""
    for task in tasks:
        task.Request = _counting(symbol_by_name(task.Request))


def _of_an_exit(on_success: Callable[..., Any]) -> Callable[..., Any]:
    """Pools without processes call it also when a task exits, with the error alone: see report_errors."""

    def handle(self: Any, outcome: Any, **options: Any) -> Any:
        if isinstance(outcome, ExceptionInfo):
            return self.on_failure(outcome)
        return on_success(self, outcome, **options)

    return handle


@cache
def _counting(request: Any) -> Any:
    counts = issubclass(request, CountsDeaths)
    return request if counts else type(request.__name__, (CountsDeaths, request), {})


def report_errors(pool: Any) -> None:
    """Let a pool without processes report what comes out of Celery's tracer, as the one with processes does.

    It is no error of the task's own. Celery forgets it in a thread or greenlet, and the slot stays taken.
    """
    celerys = pool.on_apply
    if not isinstance(pool, PreforkPool) and not isinstance(celerys, partial):
        pool.on_apply = partial(_apply, celerys)


def _apply(celerys: Callable[..., Any], target: Callable[..., Any], *args: Any, **options: Any) -> Any:
    return celerys(_reporting(target), *args, **options)


@cache
def _reporting(target: Callable[..., Any]) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return target(*args, **kwargs)
        except Exception:
            return ExceptionInfo()

    return run


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
    "on_invalid_task": lambda body, message, exc: (message, f"{type(exc).__name__}: {exc}", False),
    "on_decode_error": lambda message, exc: (message, f"{type(exc).__name__}: {exc}", False),
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
            reason = f"{type(exc).__name__}: {exc}"
            _log.exception("Task %s can't be run", request.humaninfo())
            request.message.refuse(reason[:_REASON_MAX])
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
