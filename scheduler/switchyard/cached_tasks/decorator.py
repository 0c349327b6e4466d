"""``switchyard.cached``: calls of a task that are answered by what an earlier one computed.

The decorator leaves a mark on the function. When Celery makes a task of it, our annotation (the mechanism of
Celery's own ``task_annotations``) gives that task its ``apply_async``, ``run`` and ``cached``, whatever its
base class; other tasks are not touched.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from celery.backends.base import DisabledBackend
from celery.backends.rpc import RPCBackend
from celery.result import AsyncResult
from redis.exceptions import RedisError

from switchyard.adapters.celery_app import annotations_of
from switchyard.adapters.celery_task import finished
from switchyard.cached_tasks.results import LONGEST_TTL_S, Results
from switchyard.cached_tasks.sharing import publish_once, run_once
from switchyard.cached_tasks.template import Template, parse
from switchyard.errors import BrokerUnreachable, ConfigurationError
from switchyard.node_figures import Cell, count

F = TypeVar("F", bound=Callable[..., Any])

_MARK = "__switchyard_cached__"

#: Options of a call that leave it an ordinary one. With any other, an ETA, a link, a place in a chord, a task
#: id of the caller's, it is published as always; the node that runs it still looks whether there is a result.
_ORDINARY = frozenset(
    {
        *("queue", "exchange", "routing_key", "priority", "placement", "shadow", "add_to_parent"),
        *("producer", "connection", "retry", "retry_policy", "serializer", "compression"),
    }
)


@dataclass(frozen=True, slots=True)
class Caching:
    """What ``cached`` was told: for how many seconds a result is kept, and what it depends on."""

    ttl: float
    template: Template
    signature: inspect.Signature


def cached(*, key: str, ttl: float = 300.0) -> Callable[[F], F]:
    """Keep a task's results for ``ttl`` seconds by ``key``, made of arguments: ``"{sku}:{currency}"``.

    To be written under ``@app.task``. ``delay`` of a call whose result is kept returns a finished result and
    publishes nothing; identical calls at the same time share one execution, across the cluster. Exceptions
    are not kept. ``task.cached.invalidate(sku=..., currency=...)`` forgets. Raises ConfigurationError.
    """
    if not 0 < ttl <= LONGEST_TTL_S:
        raise ConfigurationError(f"cached ttl={ttl} s is not within 0 and {LONGEST_TTL_S:.0f} s; change it")

    def mark(function: F) -> F:
        if not inspect.isfunction(function):
            raise ConfigurationError(
                f"switchyard.cached got {type(function).__name__}, not a function; put it under @app.task"
            )
        signature = inspect.signature(function)
        template = parse(key, signature, function.__qualname__)
        setattr(function, _MARK, Caching(float(ttl), template, signature))
        return function

    return mark


class CachedCalls:
    """A cached task's ``cached``: its keys, and how to forget."""

    def __init__(self, task: str, caching: Caching, bound: bool, results: Results) -> None:
        self.ttl = caching.ttl
        self._task = task
        self._template = caching.template
        parameters = list(caching.signature.parameters.values())
        self._signature = caching.signature.replace(parameters=parameters[1:] if bound else parameters)
        self._results = results

    @property
    def kept(self) -> bool:
        """Whether results are kept at all."""
        return self._results.kept

    def key(self, args: Sequence[Any] | None, kwargs: Mapping[str, Any] | None) -> str:
        """The key of a call. Raises TypeError (not the task's arguments), ConfigurationError (not plain)."""
        call = self._signature.bind(*(args or ()), **(kwargs or {}))
        call.apply_defaults()
        return f"{self._task}:{self._template.key(call.arguments, self._task)}"

    def invalidate(self, **fields: Any) -> bool:
        """Forget the result for these fields of the key; one that is computed now will not be kept either.

        A field that is left out has its argument's default.
        False if a server could not be asked: it may serve the old result until its TTL. On other nodes the
        old result may be served for a moment (see NearCache). Raises ConfigurationError.
        """
        defaults = {
            name: parameter.default
            for name, parameter in self._signature.parameters.items()
            if name in self._template.fields and parameter.default is not parameter.empty
        }
        key = f"{self._task}:{self._template.key_of_fields(defaults | fields, self._task)}"
        if not self._results.kept:
            return True  # there is nothing to forget
        try:
            self._results.flights.cancel(key)
        except (RedisError, BrokerUnreachable):
            self._results.forget(key)
            return False
        return self._results.forget(key)

    def answer(self, task: Any, key: str) -> AsyncResult[Any] | None:
        """A finished result, with the id of the task that computed it, if one is kept."""
        found = self._results.load(key)
        if found is None:
            return None
        count(Cell.ANSWERED)
        return finished(task, found.task_id, found.value)

    def publish(self, task: Any, key: str, send: Callable[[str], Any]) -> Any:
        """The task that computes the key now, or a new one."""
        return publish_once(task, self._results, key, send)

    def run(self, task: Any, key: str, body: Callable[[], Any]) -> Any:
        """Compute the key, or get what another one computed."""
        return run_once(task, self._results, key, self.ttl, body)


def cached_calls(task: object) -> CachedCalls:
    """``task.cached`` of a cached task, for type checkers, which know Celery's own attributes only.

    Raises ConfigurationError if the task is not cached.
    """
    calls = getattr(task, "cached", None)
    if not isinstance(calls, CachedCalls):
        raise ConfigurationError(
            f"{getattr(task, 'name', task)!r} is no cached task; put @switchyard.cached under its @app.task, "
            "and call switchyard.install before it"
        )
    return calls


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
        caching: Caching | None = getattr(task.run, _MARK, None)
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
            "apply_async": _apply_async(calls, task.apply_async),
            "run": _run(calls, task.run, bound),
        }


def refuse_late(app: Any) -> None:
    """Raises ConfigurationError if Celery made a task of a cached function before it could ask us."""
    late = [name for name, task in app.tasks.items() if hasattr(task.run, _MARK)] if app.finalized else []
    if late:
        raise ConfigurationError(
            f"switchyard.install came after cached task {late[0]} was made; call it right after Celery()"
        )


def _apply_async(calls: CachedCalls, celerys: Callable[..., Any]) -> Callable[..., Any]:
    def apply_async(self: Any, args: Any = None, kwargs: Any = None, *more: Any, **options: Any) -> Any:
        special = {name for name, value in options.items() if value is not None} - _ORDINARY
        if more or special or self.app.conf.task_always_eager or not calls.kept:
            return celerys(self, args, kwargs, *more, **options)
        _require_readable_results(self)
        try:
            key = calls.key(args, kwargs)
        except TypeError:
            return celerys(self, args, kwargs, **options)  # it says what is wrong as for any other task

        def send(task_id: str) -> Any:
            return celerys(self, args, kwargs, **options | {"task_id": task_id})

        answer = calls.answer(self, key)
        return calls.publish(self, key, send) if answer is None else answer

    return apply_async


def _run(calls: CachedCalls, function: Callable[..., Any], bound: bool) -> Callable[..., Any]:
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        def body() -> Any:
            return function(self, *args, **kwargs) if bound else function(*args, **kwargs)

        if self.request.called_directly or self.request.is_eager or not calls.kept:
            return body()
        return calls.run(self, calls.key(args, kwargs), body)

    return run


def _require_readable_results(task: Any) -> None:
    if isinstance(task.backend, DisabledBackend | RPCBackend):
        raise ConfigurationError(
            f"cached task {task.name} needs results that every process can read, which "
            f"{type(task.backend).__name__} does not have; set result_backend, to redis:// for example"
        )
