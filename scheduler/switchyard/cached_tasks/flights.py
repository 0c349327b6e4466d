"""Flights: executions that identical calls share. A call that finds one under way gets its task's id."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from redis import Redis
from redis.exceptions import TimeoutError

from switchyard.adapters.redis_client import connection_limit
from switchyard.cluster.keys import Keys
from switchyard.cluster.replies.decoding import text
from switchyard.cluster.runner import ScriptRunner


class Stage(StrEnum):
    """How far a task is."""

    #: Its caller may die before it is published: nobody else may rely on it.
    PUBLISHING = "publishing"
    WAITING = "waiting"
    RUNNING = "running"


@dataclass(frozen=True, slots=True)
class Flight:
    """Which task computes a key, and how far it is."""

    task_id: str
    stage: Stage = Stage.WAITING

    def record(self) -> str:
        """How Redis keeps it."""
        return f"{self.stage}:{self.task_id}"

    @classmethod
    def read(cls, record: str) -> Flight:
        """The flight that :meth:`record` wrote."""
        stage, _, task_id = record.partition(":")
        return cls(task_id, Stage(stage))


class Flights:
    """The flights of one cluster, on the broker. Each method is one round trip; errors are redis-py's.

    Threads may share it. kombu's pool refuses whoever comes when its connections are all lent out; here they
    wait for one, for ``patience`` seconds.
    """

    def __init__(self, client: Redis, keys: Keys, patience: float) -> None:
        self.client = client
        self.keys = keys
        self._runner = ScriptRunner(client)
        self._patience = patience
        # One less than there are: kombu's own channel uses the pool as well.
        self._connections = threading.BoundedSemaphore(max(1, connection_limit(client) - 1))

    def join(self, key: str, flight: Flight, seconds: float) -> Flight:
        """Take the flight of ``key`` for so long; who has it now, this one or an earlier one."""
        return self._ask("flights/join", key, flight, seconds)

    def board(self, key: str, flight: Flight, seconds: float) -> Flight:
        """Take it for a task that runs, also from one that waits; who has it now."""
        return self._ask("flights/board", key, flight, seconds)

    def change(self, key: str, old: Flight, new: Flight, seconds: float) -> bool:
        """Hold it as ``new`` for so long from now; False if it is not ``old`` any more."""
        args = (old.record(), new.record(), _ms(seconds))
        with self._connection():
            return bool(self._runner.run("flights/change", [self.keys.flight(key)], args))

    def end(self, key: str, flight: Flight) -> bool:
        """End it; False if it is not this one any more."""
        with self._connection():
            return bool(self._runner.run("flights/end", [self.keys.flight(key)], [flight.record()]))

    def silence(self, key: str, seconds: float) -> float | None:
        """For how many s who holds it for ``seconds`` at a time has not renewed it; None if nobody does."""
        with self._connection():
            left = int(self._runner.send("PTTL", self.keys.flight(key)))
        return None if left < 0 else seconds - left / 1000

    def cancel(self, key: str) -> None:
        """End it, whoever has it: what that task computes is out of date before it is done."""
        with self._connection():
            self._runner.send("DEL", self.keys.flight(key))

    @contextmanager
    def _connection(self) -> Iterator[None]:
        if not self._connections.acquire(timeout=self._patience):
            raise TimeoutError(f"no connection to the broker came free within {self._patience} s")
        try:
            yield
        finally:
            self._connections.release()

    def _ask(self, operation: str, key: str, flight: Flight, seconds: float) -> Flight:
        with self._connection():
            reply = self._runner.run(operation, [self.keys.flight(key)], [flight.record(), _ms(seconds)])
        return Flight.read(text(reply))


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))
