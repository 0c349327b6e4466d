"""What becomes of a task, as Celery's request of it learns and our message must know. Celery 5.4 to 5.7."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from billiard.einfo import ExceptionInfo
from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery.exceptions import TaskPredicate
from kombu.utils.imports import symbol_by_name

from switchyard.adapters.celery.task import run_again_if_its_retry_is_lost

_log = logging.getLogger(__name__)

#: What a request is told of when the process that ran its task is dead: it died, it left, it was killed.
_DEATHS = (WorkerLostError, SystemExit, KeyboardInterrupt, TimeLimitExceeded)


class CountsDeaths:
    """Celery's request of a task, which marks its message when the process that ran it has died.

    Celery puts such a message back (``task_reject_on_worker_lost``), without a count. Where Celery fails to
    tell the end of a task (no result can be written, a callback is none), it forgets the message. That is
    marked as well.
    """

    message: Any
    acknowledged: bool
    task: Any
    _on_ack: Callable[..., Any]
    _connection_errors: tuple[type[Exception], ...]
    time_start: float | None
    #: A failure may be the outage's: if its acknowledgement is lost with the connection, it runs again.
    _fails = False
    #: It was acknowledged when it started. The channel hears of it when it has ended: it takes a slot.
    _owes_ack = False

    def __init__(self, message: Any, *args: Any, **options: Any) -> None:
        super().__init__(message, *args, **options)  # type: ignore[call-arg]
        message.taken_by = weakref.ref(self)

    def on_accepted(self, *args: Any) -> None:
        """What Celery does."""
        self.message.begun = True
        super().on_accepted(*args)  # type: ignore[misc]

    def on_failure(self, exc_info: Any, *args: Any, **options: Any) -> Any:
        """What Celery does; the mark tells our QoS why the message is rejected."""
        error = getattr(exc_info.exception, "exc", exc_info.exception)
        self._fails = not isinstance(error, TaskPredicate)  # such as Retry: its message is sent already
        self.message.process_died = isinstance(error, _DEATHS)
        run_again_if_its_retry_is_lost(error)
        with self._marked_if_it_fails(), self._ending():
            return super().on_failure(exc_info, *args, **options)  # type: ignore[misc]

    def on_timeout(self, soft: bool, timeout: float) -> Any:
        """What Celery does."""
        if soft:
            return super().on_timeout(soft, timeout)  # type: ignore[misc]
        self._fails = True
        self.message.process_died = True
        with self._marked_if_it_fails(), self._ending():
            return super().on_timeout(soft, timeout)  # type: ignore[misc]

    @contextmanager
    def _marked_if_it_fails(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.message.is_over = True
            raise

    @contextmanager
    def _ending(self) -> Iterator[None]:
        try:
            yield
        finally:
            if self._owes_ack:
                self._owes_ack = False
                self.message.done()
                self._on_ack(_log, self._connection_errors)

    def acknowledge(self) -> None:
        """What Celery does, whose event loop may stand still: the worker stops, and waits for its pool."""
        if self.acknowledged:
            return
        if not self.task.acks_late and self.time_start is not None and not self._fails:
            self.acknowledged = self._owes_ack = True
            self.message.starts_acknowledged()
            return
        self.message.is_told = True
        if not self._fails:
            self.message.done()
        super().acknowledge()  # type: ignore[misc]

    def reject(self, requeue: bool = False) -> None:
        """What Celery does; a task that it rejects for good before it ran is set aside."""
        self.message.is_told = True
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
    """Pools without processes call it also when a task exits, with the error alone: see :mod:`.pool`."""

    def handle(self: Any, outcome: Any, **options: Any) -> Any:
        with self._ending():
            if isinstance(outcome, ExceptionInfo):
                return self.on_failure(outcome)
            return on_success(self, outcome, **options)

    return handle


@cache
def _counting(request: Any) -> Any:
    counts = issubclass(request, CountsDeaths)
    return request if counts else type(request.__name__, (CountsDeaths, request), {})
