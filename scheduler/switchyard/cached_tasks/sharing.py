"""How identical calls share one execution: before the caller publishes, and before the node runs.

The caller takes the key's flight for its task, or gets the task that has it. A node boards the flight with
the task that it starts, so that also tasks which could not share a message (those of a chord, say) compute
once; it waits only for a task that runs, never for one that waits for a slot. A flight is held while its task
waits or runs, and ends by itself a lease after its node died. The result is kept only if the flight is still
the task's own when it is done: whoever invalidates a key cancels its flight first.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from celery.exceptions import Retry
from celery.states import PROPAGATE_STATES, REVOKED
from celery.utils import uuid
from redis.exceptions import RedisError

from switchyard.adapters.celery.task import ignores_result
from switchyard.cached_tasks.flights import Flight, Stage
from switchyard.cached_tasks.results import Remembered, Results
from switchyard.errors import BrokerUnreachable, NotCacheable
from switchyard.node_figures import Cell, count

logger = logging.getLogger(__name__)

#: Longest that a task holds its flight while it waits in a queue or for a retry, in seconds. After that the
#: next call publishes another one: should the first be gone (purged, say), nobody waits for it any longer.
QUEUED_S = 300.0
#: Longest that a task waits on its slot for another one that computes the same, in seconds; then it computes.
WAIT_S = 60.0
#: Between two looks at whether the other one is done, in seconds.
_LOOK_S = 0.05
#: The same for whether it ended without a word, which costs a look at its result.
_OVER_LOOK_S = 0.5
#: The same for whether another call has published its task, which takes a few ms.
_PUBLISHED_LOOK_S = 0.005

#: The flights can't be asked: everybody computes, as without a cache.
_UNKNOWN = (RedisError, BrokerUnreachable, OSError)


def publish_once(task: Any, results: Results, key: str, publish: Callable[[str], Any]) -> Any:
    """The result of the task that computes ``key``; if none does, ``publish`` starts one with this id."""
    mine = Flight(uuid(), Stage.PUBLISHING)
    try:
        holder = _join_published(task, results, key, mine)
    except _UNKNOWN as exc:
        logger.warning("%s: identical calls are not shared, the broker does not say: %s.", task.name, exc)
        return publish(mine.task_id)
    if holder != mine:
        count(Cell.JOINED)
        return task.AsyncResult(holder.task_id)
    try:
        published = publish(mine.task_id)
    except BaseException:
        with suppress(*_UNKNOWN):
            results.flights.end(key, mine)
        raise
    count(Cell.PUBLISHED)
    with suppress(*_UNKNOWN):
        results.flights.change(key, mine, Flight(mine.task_id), QUEUED_S)
    return published


def _join_published(task: Any, results: Results, key: str, mine: Flight) -> Flight:
    """Who has the flight, this caller or a task that is surely published: one that is not may never be."""
    # A caller that died while it published holds the flight for a lease.
    give_up = time.monotonic() + 2 * results.lease
    while (holder := _join(task, results, key, mine)).stage is Stage.PUBLISHING and holder != mine:
        if time.monotonic() > give_up:
            return mine
        time.sleep(_PUBLISHED_LOOK_S)
    return holder


def _join(task: Any, results: Results, key: str, mine: Flight) -> Flight:
    """Who has the flight; one whose task failed or was revoked is ended first."""
    flights, lease = results.flights, results.lease
    holder = flights.join(key, mine, lease)
    if holder == mine or holder.stage is Stage.PUBLISHING:
        return holder
    if _is_over(task, results, key, holder):
        flights.end(key, holder)
        holder = flights.join(key, mine, lease)
    return holder


def _is_over(task: Any, results: Results, key: str, holder: Flight) -> bool:
    """Whether nobody may rely on a task any more, because it failed or was revoked.

    One that runs may have failed before and been requeued. Its flight was renewed since: a failure after that
    is its end, which it could not tell itself if it was killed.
    """
    result = task.AsyncResult(holder.task_id)
    state = result.state
    if state not in PROPAGATE_STATES or holder.stage is Stage.WAITING or state == REVOKED:
        return state in PROPAGATE_STATES
    failed, silent = result.date_done, results.flights.silence(key, results.lease)
    if failed is None or silent is None:
        return False
    failed = failed if failed.tzinfo else failed.replace(tzinfo=UTC)
    return bool((datetime.now(UTC) - failed).total_seconds() < silent)


def run_once(task: Any, results: Results, key: str, ttl: float, body: Callable[[], Any]) -> Any:
    """On a node: the result under ``key``, computed by ``body`` if no other task does."""
    mine = Flight(task.request.id, Stage.RUNNING)
    # Nobody could get the result of such a task, so nobody may be told to wait for it.
    alone = ignores_result(task, task.request)
    give_up = time.monotonic() + WAIT_S
    looked = time.monotonic()
    while (found := results.load(key)) is None:
        holder = None if alone else _board(results, key, mine)
        if holder not in (None, mine) and time.monotonic() - looked > _OVER_LOOK_S:
            looked = time.monotonic()
            _end_if_over(task, results, key, holder)
        if holder == mine:
            return _compute(task, results, key, ttl, body, mine)
        if holder is None or time.monotonic() > give_up:
            return body()
        time.sleep(_LOOK_S)
    return found.value


def _end_if_over(task: Any, results: Results, key: str, holder: Flight) -> None:
    with suppress(*_UNKNOWN):
        if _is_over(task, results, key, holder):
            results.flights.end(key, holder)


def _board(results: Results, key: str, mine: Flight) -> Flight | None:
    try:
        return results.flights.board(key, mine, results.lease)
    except _UNKNOWN as exc:
        logger.warning("%s: computed without a claim, the broker does not say: %s.", key, exc)
        return None


def _compute(task: Any, results: Results, key: str, ttl: float, body: Callable[[], Any], mine: Flight) -> Any:
    """What the holder of the flight does."""
    with _held(task, results, key, mine):
        # The one before may have ended between our look and our boarding.
        found = results.load(key)
        if found is not None:
            value, kept = found.value, False
        else:
            value = body()
            kept = _keep(results, key, Remembered(mine.task_id, value), ttl)
    with suppress(*_UNKNOWN):
        if not results.flights.end(key, mine) and kept:
            # Invalidated while it was computed, or another task took over: not to be trusted.
            results.forget(key)
    return value


def _keep(results: Results, key: str, result: Remembered, ttl: float) -> bool:
    try:
        results.keep(key, result, ttl)
    except NotCacheable as exc:
        logger.warning("A result is not kept: %s", exc)
        return False
    return True


@contextmanager
def _held(task: Any, results: Results, key: str, mine: Flight) -> Iterator[None]:
    """Hold the flight while the block runs; if it raises, leave it to the retry that follows, or end it."""
    done = threading.Event()
    holder = threading.Thread(
        target=_hold, args=(results, key, mine, done), name="switchyard-flight", daemon=True
    )
    holder.start()
    try:
        yield
    except BaseException as exc:
        with suppress(*_UNKNOWN):
            if _comes_again(task, exc):
                results.flights.change(key, mine, Flight(mine.task_id), QUEUED_S)
            else:
                results.flights.end(key, mine)
        raise
    finally:
        done.set()


def _hold(results: Results, key: str, mine: Flight, done: threading.Event) -> None:
    while not done.wait(results.lease / 3):
        with suppress(*_UNKNOWN):
            if not results.flights.change(key, mine, mine, results.lease):
                return


def _comes_again(task: Any, exc: BaseException) -> bool:
    """Whether the task will run again under its id: a retry. Its last failure is found by :func:`_join`."""
    return isinstance(exc, (Retry, *getattr(task, "autoretry_for", ())))
