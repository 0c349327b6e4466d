"""Celery's pools: what a pool has begun is not forgotten, and how it ended is told.

When the consumer closes, for good or to connect again, Celery's prefork pool over an event loop drops every
job that no child has *accepted* as far as the parent has read. But a child may have the job already, even its
result may be in the pipe: the task would run again elsewhere, and at a stop that child would wait for half a
minute to be heard. A pool without processes goes on with all that it has; nobody asks it what that is.
Versions: Celery 5.4 to 5.7.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import cache, partial
from typing import Any
from weakref import WeakSet

from billiard.einfo import ExceptionInfo
from billiard.pool import TERMINATE, WorkersJoined
from celery.concurrency.asynpool import AsynPool, _select
from celery.concurrency.prefork import TaskPool as PreforkPool
from celery.worker.state import task_ready

_log = logging.getLogger(__name__)

#: Seconds between two looks for children that have ended, while results are waited for.
_LOOK_S = 0.1


def keep_begun_jobs(pool: Any) -> None:
    """Let this pool of a worker go on with what its processes have begun, also when the consumer closes.

    Only Celery's prefork pool over an event loop needs it. Doing it twice is doing it once.
    """
    inner = _prefork(pool)
    if inner is not None:
        pool.flush = partial(_forget_what_is_not_begun, inner)
        results = inner._result_handler
        results.on_stop_not_started = partial(_take_in_results, results)


def begun_tags(pool: Any) -> set[str]:
    """Delivery tags of the messages whose tasks the pool will end, whatever becomes of the connection.

    Those whose end it has told already, so that it is acknowledged or about to be, may be among them or not.
    """
    inner = _prefork(pool)
    if inner is not None:
        jobs = [job for job in inner._cache.values() if _is_begun(job)]
        requests = [getattr(job._callback, "__self__", None) for job in jobs]
        return {request._message.delivery_tag for request in requests if request is not None}
    return pool.on_apply.unended() if isinstance(pool.on_apply, _Applies) else set()


def report_errors(pool: Any) -> None:
    """Let a pool without processes report what comes out of Celery's tracer, as the one with processes does.

    It is no error of the task's own. Celery forgets it in a thread or greenlet, and the slot stays taken.
    What comes out of telling the start or the end of a task is forgotten there as well.
    """
    if not isinstance(pool, PreforkPool) and not isinstance(pool.on_apply, _Applies):
        pool.on_apply = _Applies(pool.on_apply)


class _Applies:
    """Celery's way to hand a task to a pool without processes, and which ones have not ended there."""

    def __init__(self, celerys: Callable[..., Any]) -> None:
        self._celerys = celerys
        self._requests: WeakSet[Any] = WeakSet()

    def __call__(self, target: Callable[..., Any], *args: Any, **options: Any) -> Any:
        request = getattr(options.get("callback"), "__self__", None)
        if request is not None:
            self._requests.add(request)
            options["callback"] = partial(_tell, request, options["callback"])
            options["accept_callback"] = partial(_tell_start, request, options.get("accept_callback"))
        return self._celerys(_reporting(target), *args, **options)

    def unended(self) -> set[str]:
        """Delivery tags of what it has, or tells the end of just now."""
        while True:
            try:
                requests = list(self._requests)
                break
            except RuntimeError:  # one more meanwhile
                continue
        # Celery marks a request when the acknowledgement is on its way already, never before.
        known = [request for request in requests if not request.acknowledged and not request._message.is_over]
        return {request._message.delivery_tag for request in known}


def _tell(request: Any, tell: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Tell a request of its task. If that fails, nobody will hear of the task any more."""
    try:
        return tell(*args, **options)
    except Exception:
        request._message.is_over = True
        task_ready(request)
        _log.exception("What became of task %s could not be told", request.humaninfo())
        raise


def _tell_start(request: Any, tell: Callable[..., Any] | None, *args: Any) -> None:
    """It is told where the task runs: if that shall never run again, the server hears of it before."""
    if tell is not None:
        _tell(request, tell, *args)
    if request.acknowledged:
        request._message.flush()


@cache
def _reporting(target: Callable[..., Any]) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return target(*args, **kwargs)
        except Exception:
            return ExceptionInfo()

    return run


def _prefork(pool: Any) -> Any:
    inner = getattr(pool, "_pool", None)
    return inner if isinstance(inner, AsynPool) else None


def _is_begun(job: Any) -> bool:
    """Whether a first byte of the job may have gone to a process."""
    return job._accepted or job._write_to is not None


def _forget_what_is_not_begun(inner: Any) -> None:
    """The pool's own flush; a job that was accepted is what it leaves alone, from Celery 5.6 on."""
    begun = [job for job in inner._cache.values() if _is_begun(job)]
    unread = [job for job in begun if not job._accepted]
    for job in unread:
        job._accepted = True
    try:
        inner.flush()
    finally:
        for job in unread:
            job._accepted = job._time_accepted is not None
        _go_on_with(inner, [job for job in begun if not job.ready()])


def _go_on_with(inner: Any, jobs: Iterable[Any]) -> None:
    """Before 5.6 a flush drops running jobs as well, so that nobody reads their results.

    Before 5.7 it takes their processes for free ones, and the next task waits behind what runs there.
    """
    for job in jobs:
        inner._cache[job._job] = job
        process = job._write_to or job._scheduled_for
        if process is not None and process._is_alive():
            inner._busy_workers.add(process.inqW_fd)


def _take_in_results(results: Any) -> None:
    """Read what the processes still have to say, until no job is left or every process has ended.

    As Celery does, but for its half a second of sleep for each process that is silent.
    """
    sources = set(results.fileno_to_outq)
    while results.cache and sources and results._state != TERMINATE:
        if results.check_timeouts is not None:
            results.check_timeouts()
        readable, _, _ = _select(sources, timeout=_LOOK_S)
        for source in readable:
            results._flush_outqueue(source, sources.discard, results.fileno_to_outq, results.on_state_change)
        try:
            results.join_exited_workers(shutdown=True)
        except WorkersJoined:
            return
