"""Celery's tasks, from 5.4 on: what we use of them, their requests and results that it does not promise."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from celery import Celery, current_task
from celery.app import task as celery_task
from celery.app import trace as celery_trace
from celery.exceptions import Reject
from celery.result import AsyncResult
from celery.states import SUCCESS
from kombu.exceptions import OperationalError

from switchyard.adapters.celery.app import current

if TYPE_CHECKING:
    AnyResult: TypeAlias = AsyncResult[Any]
else:
    # Before 5.6 the class takes no parameter, and whoever evaluates annotations would stumble over one.
    AnyResult = AsyncResult

#: Since 5.6; in 5.6 it is in the one module, from 5.7 on in the other.
_IGNORES: Callable[[Any, Any], bool] | None = getattr(
    celery_task, "get_actual_ignore_result", getattr(celery_trace, "get_actual_ignore_result", None)
)


def run_again_if_its_retry_is_lost(error: BaseException) -> None:
    """Let a task whose retry could not be published be delivered again.

    Celery throws such a task away, with a rejection that is none of the user's, and its retry is nowhere.
    """
    if isinstance(error, Reject) and isinstance(error.reason, OperationalError):
        error.requeue = True


def ignores_result(task: Any, request: Any) -> bool:
    """Whether no result of this run is stored. Before 5.6 a call can't ask for one that its task ignores."""
    if _IGNORES is not None:
        return bool(_IGNORES(task, request))
    return bool(task.ignore_result or getattr(request, "ignore_result", False))


def finished(task: Any, task_id: str, value: Any) -> AnyResult:
    """A result that succeeded with this value, as Celery keeps one that it fetched: no backend is asked."""
    result: AnyResult = task.AsyncResult(task_id)
    result._cache = {
        "task_id": task_id,
        "status": SUCCESS,
        "result": value,
        "traceback": None,
        "children": [],
    }
    return result


def retry_uncounted(task: Any, exc: Exception, countdown: float) -> NoReturn:
    """Celery's own retry in ``countdown`` seconds, without a count against ``max_retries``. Raises Retry."""
    task.request.retries -= 1  # Celery adds one to it for the next run
    try:
        raise task.retry(exc=exc, countdown=countdown)
    finally:
        task.request.retries += 1


def running_app() -> Celery:
    """The application of the task that runs in this thread, or else the thread's current one."""
    app: Celery = current_task.app if current_task else current()
    return app
