"""``switchyard.exclusive``: tasks that must not overlap."""

from __future__ import annotations

import functools
import inspect
import logging
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, ParamSpec, TypeVar, get_args

from celery import current_task, states
from celery.exceptions import Ignore

from switchyard.adapters.celery.task import retry_uncounted
from switchyard.coordination import servers as deciding
from switchyard.coordination.lock import Lock, checked_ttl, lock
from switchyard.errors import ConfigurationError, LockLost, LockNotAcquired, TaskSkipped
from switchyard.signatures import pieces_of, signature_of
from switchyard.spans import Span, seconds

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")
OnLocked = Literal["retry", "skip", "wait"]

_DECORATOR = "switchyard.exclusive"

_held: ContextVar[Lock | None] = ContextVar("switchyard_lock", default=None)


def current_lock() -> Lock | None:
    """The lock that the exclusive task which runs now holds; None outside of one."""
    return _held.get()


def exclusive(
    key: str,
    on_locked: OnLocked = "retry",
    ttl: Span = 30,
    wait: Span = 10,
    countdown: Span = 1,
    servers: Sequence[str] | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let only one task at a time run for each value of ``key``; goes under ``@app.task``.

    ``key`` is a format string over the arguments of the task, defaults included. It names the same lock as
    :func:`switchyard.lock` does, held while the function runs and renewed in the background; a worker that is
    killed blocks nobody for longer than ``ttl`` seconds. ``servers`` is as for :func:`switchyard.lock`.

    ``on_locked`` says what becomes of a task that finds the lock held:

    * ``"retry"``: Celery's own retry, after ``countdown`` seconds, half of it more or less at random. Its
      state is RETRY. It does not count against ``max_retries``, since nothing failed; give the task
      ``expires`` where it must not go on for ever.
    * ``"skip"``: it does not run. Its state is REVOKED, and ``get`` raises TaskSkipped at once.
    * ``"wait"``: it waits in its slot, first come first served, for ``wait`` seconds at most; then as
      ``"retry"``.

    A retried task leaves the event ``locked`` in the cluster's log, a skipped one ``skipped`` and, for
    Celery's monitors, ``task-skipped``. Outside a worker the function raises LockNotAcquired. If the lock is
    lost while the function runs, a warning is logged and its result stands: where that must do no harm,
    send ``switchyard.current_lock().token`` with what it writes.

    Raises ConfigurationError for a key that names no argument, and as :func:`switchyard.lock` when it runs.
    """
    if on_locked not in get_args(OnLocked):
        raise ConfigurationError(
            f"on_locked={on_locked!r} is unknown; use one of {', '.join(get_args(OnLocked))}"
        )
    named = _named_in(key)
    rule = _Rule(
        key, on_locked, checked_ttl(ttl), seconds(wait, "wait"), seconds(countdown, "countdown"), servers
    )

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = signature_of(function, _DECORATOR)
        _check_names(key, named, signature)

        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            with _holding(rule, key.format(**bound.arguments)):
                return function(*args, **kwargs)

        # Celery checks a call against the signature, and does not look behind wrappers.
        run.__signature__ = signature  # type: ignore[attr-defined]
        return run

    return decorate


@dataclass(frozen=True, slots=True)
class _Rule:
    """How a task is exclusive; times are seconds."""

    key: str
    on_locked: OnLocked
    ttl: float
    wait: float
    countdown: float
    servers: Sequence[str] | None


def _named_in(key: str) -> set[str]:
    """The arguments that a key names, be it by an attribute or an item of theirs."""
    fields = [field for _, field, _, _ in pieces_of(key, _DECORATOR) if field is not None]
    return {field.partition(".")[0].partition("[")[0] for field in fields}


def _check_names(key: str, named: set[str], signature: inspect.Signature) -> None:
    if unknown := named - set(signature.parameters):
        names = ", ".join(sorted(map(repr, unknown)))
        raise ConfigurationError(
            f"{_DECORATOR} key {key!r} names {names}, which the task does not take; "
            f"it takes {', '.join(signature.parameters) or 'nothing'}"
        )


@contextmanager
def _holding(rule: _Rule, name: str) -> Iterator[None]:
    mine = lock(name, rule.ttl, rule.wait if rule.on_locked == "wait" else None, rule.servers)
    try:
        mine.acquire()
    except LockNotAcquired as locked:
        _give_way(rule, locked)
    before = _held.set(mine)
    try:
        yield
    finally:
        _held.reset(before)
        try:
            mine.release()
        except LockLost as loss:
            logger.warning("%s", loss)


def _give_way(rule: _Rule, locked: LockNotAcquired) -> NoReturn:
    """Retry or skip the running task. Raises what tells Celery so; outside a worker, ``locked``."""
    request = current_task.request if current_task else None
    if request is None or request.called_directly or request.is_eager:
        raise locked
    if rule.on_locked == "skip":
        _record_event(current_task, "skipped", rule.ttl)
        _skip(current_task, locked)
    _record_event(current_task, "locked", rule.ttl)
    retry_uncounted(current_task, locked, rule.countdown * random.uniform(0.5, 1.5))


def _skip(task: Any, locked: LockNotAcquired) -> NoReturn:
    request = task.request
    task.backend.mark_as_failure(
        request.id,
        TaskSkipped(f"task {task.name}[{request.id}] did not run: {locked}"),
        request=request,
        store_result=not (task.ignore_result or request.ignore_result),
        call_errbacks=False,
        # Ready, so that nobody waits for it in vain, yet neither a success nor a failure.
        state=states.REVOKED,
    )
    task.send_event("task-skipped", reason=str(locked))
    raise Ignore(str(locked))


def _record_event(task: Any, kind: str, ttl: float) -> None:
    """Leave an event in the cluster's log, if there is a cluster; an event that is lost is no harm."""
    installed = getattr(task.app, "switchyard", None)
    if installed is not None:
        node = installed.settings.node or task.request.hostname
        recorded = deciding.voters(None, ttl).ask(lambda voter: voter.record_event(kind, node), any)
        for failure in recorded.failures:
            logger.info("Event %r of node %s could not be recorded: %s", kind, node, failure)
