"""``switchyard.cached``: calls of a task that are answered by what an earlier one computed.

The decorator leaves what it was told on the function. When Celery makes a task of it, our annotation (the
mechanism of Celery's own ``task_annotations``) gives that task its ``apply_async``, ``run`` and ``cached``,
whatever its base class; other tasks are not touched.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from switchyard.adapters.celery.app import annotations_of
from switchyard.cached_tasks.calls import CachedCalls, Caching, apply_async_of, run_of
from switchyard.cached_tasks.results import LONGEST_TTL_S, Results
from switchyard.cached_tasks.template import DECORATOR, parse
from switchyard.errors import ConfigurationError
from switchyard.signatures import signature_of
from switchyard.spans import Span, seconds

F = TypeVar("F", bound=Callable[..., Any])

_TOLD = "__switchyard_cached__"


def cached(*, key: str, ttl: Span = 300.0) -> Callable[[F], F]:
    """Keep a task's results for ``ttl`` seconds by ``key``, made of arguments: ``"{sku}:{currency}"``.

    To be written under ``@app.task``. ``delay`` of a call whose result is kept returns a finished result and
    publishes nothing; identical calls at the same time share one execution, across the cluster. Exceptions
    are not kept. ``task.cached.invalidate(sku=..., currency=...)`` forgets. Raises ConfigurationError.
    """
    kept = seconds(ttl, "cached ttl")
    if not 0 < kept <= LONGEST_TTL_S:
        raise ConfigurationError(f"cached ttl={ttl!r} is not within 0 and {LONGEST_TTL_S:.0f} s; change it")

    def decorate(function: F) -> F:
        signature = signature_of(function, DECORATOR)
        template = parse(key, signature, getattr(function, "__qualname__", repr(function)))
        setattr(function, _TOLD, Caching(kept, template, signature))
        return function

    return decorate


class TaskAnnotations:
    """What Celery asks when it binds a task: the user's ``task_annotations`` and ours."""

    def __init__(self, app: Any, results: Results) -> None:
        self._app = app
        self._results = results

    def annotate(self, task: Any) -> dict[str, Any]:
        """Attributes to set on the task's class. Raises ConfigurationError if it can't be cached."""
        changes = self._ours(task)
        for users in annotations_of(self._app, task):
            changes.update(users)
        return changes

    def _ours(self, task: Any) -> dict[str, Any]:
        caching: Caching | None = getattr(task.run, _TOLD, None)
        if caching is None:
            return {}
        if task.ignore_result:
            raise ConfigurationError(
                f"task {task.name} is cached but ignores its result; drop ignore_result, or switchyard.cached"
            )
        bound = not isinstance(inspect.getattr_static(task, "run"), staticmethod)
        calls = CachedCalls(task.name, caching, bound, self._results)
        return {
            "cached": calls,
            "apply_async": apply_async_of(calls, task.apply_async),
            "run": run_of(calls, task.run, bound),
        }


def refuse_late(app: Any) -> None:
    """Raises ConfigurationError if Celery made a task of a cached function before it could ask us."""
    late = [name for name, task in app.tasks.items() if hasattr(task.run, _TOLD)] if app.finalized else []
    if late:
        raise ConfigurationError(
            f"switchyard.install came after cached task {late[0]} was made; call it right after Celery()"
        )
