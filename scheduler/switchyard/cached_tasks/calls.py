"""A cached task's calls: ``task.cached``, and what answers or shares them before it is published or run."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from celery.backends.base import DisabledBackend
from celery.backends.rpc import RPCBackend
from redis.exceptions import RedisError

from switchyard.adapters.celery.task import AnyResult, finished
from switchyard.cached_tasks.results import Results
from switchyard.cached_tasks.sharing import publish_once, run_once
from switchyard.cached_tasks.template import Template
from switchyard.errors import BrokerUnreachable, ConfigurationError
from switchyard.node_figures import Cell, count

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

    def answer(self, task: Any, key: str) -> AnyResult | None:
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


def apply_async_of(calls: CachedCalls, celerys: Callable[..., Any]) -> Callable[..., Any]:
    """A cached task's ``apply_async``, on top of what Celery's is."""

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


def run_of(calls: CachedCalls, function: Callable[..., Any], bound: bool) -> Callable[..., Any]:
    """A cached task's ``run``, around its function."""

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
