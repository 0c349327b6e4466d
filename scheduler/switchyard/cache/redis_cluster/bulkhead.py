"""A bulkhead: threads that a slow server may use up without taking the callers down with them.

For a client library that keeps no deadline of its own. A caller goes on when its time is over, whatever the
call does. Each server has a compartment, so how many calls may be stuck is bounded, and those of a server
that hangs take no thread from the others.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from switchyard.cache.store import Deadline
from switchyard.forking import PerProcess

T = TypeVar("T")

#: Calls to one server that are under way at the same time; more wait for their turn, within their deadline.
THREADS = 16


class NotBegunError(TimeoutError):
    """A call had to wait for others until its deadline: it was not made, and says nothing of the server."""


class Bulkhead:
    """Runs calls in threads of its own; to be made before a fork or after it."""

    def __init__(self) -> None:
        self._compartments: PerProcess[dict[str, ThreadPoolExecutor]] = PerProcess(dict)
        self.closed = False

    def run(self, calls: Mapping[str, Callable[[], T]], deadline: Deadline) -> dict[str, T | Exception]:
        """What each call, made at the same time as the others, returned or raised, by server.

        That is NotBegunError for one that had to wait until the deadline and never will be made, and
        TimeoutError for one that was not done by then.
        """
        futures = {server: self._begin(server, call) for server, call in calls.items()}
        return {server: _outcome(future, deadline) for server, future in futures.items()}

    def keep(self, servers: Collection[str]) -> None:
        """End the threads for all servers but these."""
        compartments = self._compartments.get()
        for server in set(compartments) - set(servers):
            if compartment := compartments.pop(server, None):
                compartment.shutdown(wait=False)

    def close(self) -> None:
        """Take no more calls."""
        self.closed = True
        self.keep(())

    def _begin(self, server: str, call: Callable[[], T]) -> Future[T]:
        try:
            return self._compartment(server).submit(call)
        # Closed, or the interpreter ends, or another thread has just ended this compartment.
        except RuntimeError as exc:
            refused: Future[T] = Future()
            refused.set_exception(NotBegunError(str(exc)))
            return refused

    def _compartment(self, server: str) -> ThreadPoolExecutor:
        if self.closed:
            raise RuntimeError("the cache was closed")
        compartments = self._compartments.get()
        # As one step, for several threads may come first.
        return compartments.get(server) or compartments.setdefault(
            server, ThreadPoolExecutor(THREADS, f"cache {server}")
        )


def _outcome(future: Future[Any], deadline: Deadline) -> Any:
    try:
        return future.result(deadline.left())
    except Exception as exc:
        if future.cancel():
            return NotBegunError("other calls took all the time until the deadline")
        return exc if future.done() else TimeoutError("no answer within the deadline")
