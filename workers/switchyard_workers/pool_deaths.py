"""Counts the deaths of pool processes: a task that kills them again and again is given up."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from billiard.exceptions import WorkerLostError
from kombu.utils.imports import symbol_by_name


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
