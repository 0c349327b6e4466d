"""Celery's prefork pool over an event loop: what its processes have begun is not forgotten.

When the consumer closes, for good or to connect again, Celery drops every job that no child has *accepted* as
far as the parent has read. But a child may have the job already, even its result may be in the pipe: the task
would run again elsewhere, and at a stop that child would wait for half a minute to be heard.
Versions: Celery 5.4 to 5.7.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from billiard.pool import TERMINATE, WorkersJoined
from celery.concurrency.asynpool import AsynPool, _select

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
    """Delivery tags of messages whose tasks a process of the pool has, or is about to read."""
    inner = _prefork(pool)
    if inner is None:
        return set()
    requests = (getattr(job._callback, "__self__", None) for job in inner._cache.values() if _is_begun(job))
    return {request._message.delivery_tag for request in requests if request is not None}


def _prefork(pool: Any) -> Any:
    inner = getattr(pool, "_pool", None)
    return inner if isinstance(inner, AsynPool) else None


def _is_begun(job: Any) -> bool:
    """Whether a first byte of the job may have gone to a process."""
    return job._accepted or job._write_to is not None


def _forget_what_is_not_begun(inner: Any) -> None:
    """The pool's own flush; a job that was accepted is what it leaves alone."""
    begun = [job for job in inner._cache.values() if _is_begun(job) and not job._accepted]
    for job in begun:
        job._accepted = True
    try:
        inner.flush()
    finally:
        for job in begun:
            job._accepted = job._time_accepted is not None


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
