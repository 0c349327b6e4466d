"""A bulkhead: threads that a slow server may use up without taking the callers down with them.

For a client library that keeps no deadline of its own. A caller goes on when its time is over, whatever the
call does; how many calls may be stuck at once is bounded.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from scheduler.caching.deadline import Deadline

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

#: Calls under way at the same time in one process; more wait for their turn, within their deadline.
THREADS = 32


class Bulkhead:
    """Runs calls in threads of its own; to be made before a fork or after it."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._pid = 0

    def run(self, calls: Mapping[K, Callable[[], T]], deadline: Deadline) -> dict[K, T | Exception]:
        """What each call, made at the same time as the others, returned or raised.

        That is TimeoutError for one that was not done in time; if it had not even begun, it never will.
        """
        try:
            futures = {key: self._threads().submit(call) for key, call in calls.items()}
        except RuntimeError as exc:  # closed, or the interpreter is going down
            return dict.fromkeys(calls, exc)
        return {key: _outcome(future, deadline) for key, future in futures.items()}

    def close(self) -> None:
        """Take no more calls."""
        if self._pool is not None and self._pid == os.getpid():
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _threads(self) -> ThreadPoolExecutor:
        if self._pool is None or self._pid != os.getpid():
            self._pool, self._pid = ThreadPoolExecutor(THREADS, "cache call"), os.getpid()
        return self._pool


def _outcome(future: Future[Any], deadline: Deadline) -> Any:
    try:
        return future.result(deadline.left())
    except Exception as exc:
        return TimeoutError("no answer within the deadline") if future.cancel() or not future.done() else exc
