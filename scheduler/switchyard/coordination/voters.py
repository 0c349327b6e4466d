"""Asking one server, or several at once with a deadline for each."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Generic, TypeVar

from redis.exceptions import RedisError

from switchyard.coordination.in_process import InProcess
from switchyard.coordination.voter import Voter
from switchyard.errors import BrokerUnreachable

T = TypeVar("T")

#: Who grants: a server, or this process's memory.
Grants = Voter | InProcess
Open = Callable[[], Grants]
_FAILURES = (RedisError, OSError, BrokerUnreachable)


@dataclass(frozen=True, slots=True)
class Answers(Generic[T]):
    """What servers answered, and what went wrong with the others, a line each."""

    given: tuple[T, ...]
    failures: tuple[str, ...] = ()


class Voters:
    """Servers that decide together; ``timeout`` is for connecting to one and for one answer, in seconds.

    Threads may share it. Several servers have a thread each, so that a silent one keeps nobody waiting who
    has a majority without it, and so that what one caller sends to a server arrives in order.
    """

    def __init__(self, voters: Sequence[tuple[str, Open]], timeout: float) -> None:
        self.timeout = timeout
        self._seats = [_Seat(where, opened) for where, opened in voters]
        self._lanes = [ThreadPoolExecutor(1, "switchyard-voter") for _ in voters] if len(voters) > 1 else []

    def __len__(self) -> int:
        return len(self._seats)

    def ask(self, operation: Callable[[Grants], T], enough: Callable[[Sequence[T]], bool]) -> Answers[T]:
        """Run the operation on all servers; return at the deadline, or once the answers are ``enough``."""
        deadline = time.monotonic() + self.timeout
        pending = self._begin(operation, deadline)
        if pending is None:
            return _collect([seat.run(operation, deadline) for seat in self._seats])
        return _await(pending, deadline, enough)

    def tell(self, operation: Callable[[Grants], object]) -> None:
        """Run the operation on all servers; if there are several, nobody waits for their answers."""
        deadline = time.monotonic() + self.timeout
        if self._begin(operation, deadline) is None:
            for seat in self._seats:
                seat.run(operation, deadline)

    def _begin(
        self, operation: Callable[[Grants], T], deadline: float
    ) -> dict[Future[T | _Failure], str] | None:
        """The answers to come, with the names of their servers; None if no thread will bring any.

        One server needs none, and an interpreter that ends lends none: what is given back then still goes.
        """
        if not self._lanes:
            return None
        asked = zip(self._lanes, self._seats, strict=True)
        try:
            return {lane.submit(seat.run, operation, deadline): seat.where for lane, seat in asked}
        except RuntimeError:
            return None

    def listen(self, owner: str, seconds: float) -> None:
        """Wait until one server says that it is the owner's turn, or so many seconds."""
        until = time.monotonic() + seconds
        seat = next((seat for seat in self._seats if not seat.failing), None)
        if seat is not None:
            seat.run(lambda voter: voter.listen(owner, min(seconds, self.timeout / 2)), until)
        if seat is None or seat.failing:
            time.sleep(max(until - time.monotonic(), 0))


class _Seat:
    """One server's place among the voters: opened when first asked, and again after it failed to open."""

    def __init__(self, where: str, opened: Open) -> None:
        self.failing = False
        self.where = where
        self._open = opened
        self._voter: Grants | None = None

    def run(self, operation: Callable[[Grants], T], deadline: float) -> T | _Failure:
        """The answer or the failure; nothing is sent after the deadline, when nobody waits any more."""
        if time.monotonic() > deadline:
            return _Failure(f"{self.where} is too slow")
        try:
            if self._voter is None:
                self._voter = self._open()
            answer = operation(self._voter)
        except _FAILURES as exc:
            self.failing = True
            return _Failure(f"{self.where}: {exc}")
        self.failing = False
        return answer


@dataclass(frozen=True, slots=True)
class _Failure:
    text: str


def _await(
    pending: Mapping[Future[T | _Failure], str], deadline: float, enough: Callable[[Sequence[T]], bool]
) -> Answers[T]:
    """What came in time; ``pending`` are the answers to come, with the names of their servers."""
    done: list[T | _Failure] = []
    silent = set(pending)
    while silent and (left := deadline - time.monotonic()) > 0:
        ready, silent = wait(silent, left, FIRST_COMPLETED)
        done += [future.result() for future in ready]
        if enough([answer for answer in done if not isinstance(answer, _Failure)]):
            return _collect(done)
    return _collect([*done, *(_Failure(f"{pending[future]}: no answer in time") for future in silent)])


def _collect(done: Sequence[T | _Failure]) -> Answers[T]:
    given = tuple(answer for answer in done if not isinstance(answer, _Failure))
    return Answers(given, tuple(answer.text for answer in done if isinstance(answer, _Failure)))
