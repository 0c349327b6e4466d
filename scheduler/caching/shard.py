"""One server of the ring: its connections, its breaker, and what this process knows of it."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hiredis import pack_command
from redis import ConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import NoScriptError, RedisError
from redis.exceptions import TimeoutError as NoAnswer
from redis.retry import Retry

from scheduler.caching.breaker import Breaker, Decision
from scheduler.caching.entry import LIFE
from scheduler.caching.figures import Counters
from scheduler.caching.operations import Admission, Command, Operations, read_admission

logger = logging.getLogger(__name__)

Replies = list[Any]

#: The part of a usual try that connecting may take even if there is less time left.
_SHORTEST = 4


@dataclass(frozen=True, slots=True)
class Sent:
    """Commands whose replies are under way."""

    connection: Any
    commands: Sequence[Command]
    reused: bool


class Shard:
    """A server, its ``name`` (address without credentials) and ``weight``.

    It is ``doubted`` until it is known that it missed no write; reads then ask the other owners too.
    """

    def __init__(
        self, name: str, url: str, weight: int, operations: Operations, seconds: float, counters: Counters
    ) -> None:
        self.name = name
        self.weight = weight
        self.breaker = Breaker()
        self.doubted = True
        self.doubts = 0
        self.life = b""
        self._operations = operations
        self._counters = counters
        self._clock_ms = 0.0
        self._pool = ConnectionPool.from_url(url, protocol=2)
        # What a URL says of timeouts and retries would break the cache's deadline.
        self._pool.connection_kwargs["retry"] = Retry(NoBackoff(), 0)
        self._seconds = seconds
        self._idle: list[Any] = []
        self._pid = os.getpid()

    def admits(self) -> bool:
        """Whether to try this server now; leaving it out puts it in doubt."""
        if self.breaker.closed or self.breaker.decide(time.monotonic()) is not Decision.SKIP:
            return True
        self.doubt()
        return False

    def known(self, seconds: float) -> bool:
        """Whether its clock and life are known, if need be by asking."""
        return bool(self.life) or self.look(seconds) is not None

    def doubt(self) -> None:
        """The server may miss a write."""
        self.doubts += 1
        self.doubted = True

    def trust(self, doubts: int) -> None:
        """The server misses nothing, unless it was doubted again since there were so many ``doubts``."""
        if self.doubts == doubts:
            self.doubted = False

    def now_ms(self) -> float:
        """The server's clock as it was when last looked at, plus the time since: never ahead of the clock."""
        return self._clock_ms + time.monotonic() * 1000

    def learn(self, life: bytes | None) -> None:
        """This is the server's life now; a new one puts it in doubt."""
        if life is None or life[:LIFE] != self.life:
            self.doubt()
        if life is not None:
            self.life = life[:LIFE]

    def look(self, seconds: float, ended: bytes = b"") -> Admission | None:
        """What the server says of itself, after a life that has to end has ended."""
        replies = exchange({self: [self._operations.admit(ended)]}, seconds).get(self)
        return self._admitted(replies[0]) if replies else None

    def send(self, commands: Sequence[Command], seconds: float) -> Sent | None:
        """Send commands, for which to connect may take so many seconds; None, counted, if that failed."""
        try:
            connection, reused = self._connection(seconds)
        except (RedisError, OSError) as exc:
            self._failed(exc)
            return None
        sent = Sent(connection, commands, reused)
        try:
            _send(connection, commands)
        except (RedisError, OSError) as exc:
            connection.disconnect()
            if not reused or isinstance(exc, NoAnswer):
                self._failed(exc)
                return None
            self._drop_idle()
        except BaseException:
            connection.disconnect()
            raise
        return sent

    def receive(self, sent: Sent, until: float) -> Replies | None:
        """The replies, waited for until a monotonic time; None, counted, if anything failed."""
        try:
            replies = self._replies(sent, until)
        except (RedisError, OSError) as exc:
            self._failed(exc)
            return None
        if self.breaker.succeeded():
            logger.info("cache server %s answers again", self.name)
        return replies

    def close(self) -> None:
        """Let go of the connections."""
        self._drop_idle()

    def _replies(self, sent: Sent, until: float) -> Replies:
        try:
            return self._read(sent.connection, len(sent.commands), until)
        except NoAnswer:
            raise
        except (NoConnection, NoScriptError):
            # The server closed an idle connection, or forgot our scripts: a new connection mends both.
            if not sent.reused:
                raise
        self._drop_idle()
        connection = self._connect(until - time.monotonic())
        _send(connection, sent.commands)
        return self._read(connection, len(sent.commands), until)

    def _read(self, connection: Any, count: int, until: float) -> Replies:
        try:
            replies = [
                connection.read_response(timeout=max(0.001, until - time.monotonic())) for _ in range(count)
            ]
        except BaseException:
            connection.disconnect()  # replies may still be under way
            raise
        self._idle.append(connection)
        return replies

    def _connection(self, seconds: float) -> tuple[Any, bool]:
        if self._pid != os.getpid():
            self._idle, self._pid = [], os.getpid()
        try:
            return self._idle.pop(), True
        except IndexError:
            return self._connect(seconds), False

    def _connect(self, seconds: float) -> Any:
        timeout = max(seconds, self._seconds / _SHORTEST)
        timeouts = {"socket_timeout": timeout, "socket_connect_timeout": timeout}
        connection: Any = self._pool.connection_class(**self._pool.connection_kwargs | timeouts)
        try:
            connection.connect()
            commands = [*self._operations.loads(), self._operations.admit()]
            _send(connection, commands)
            self._admitted([connection.read_response() for _ in commands][-1])
        except BaseException:
            connection.disconnect()
            raise
        return connection

    def _admitted(self, reply: list[Any]) -> Admission:
        admission = read_admission(reply)
        self._clock_ms = admission.now_ms - time.monotonic() * 1000
        self.learn(admission.life)
        return admission

    def _drop_idle(self) -> None:
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.disconnect()

    def _failed(self, exc: Exception) -> None:
        self._counters.failed()
        self.doubt()
        if self.breaker.failed(time.monotonic()):
            logger.warning("cache server %s is left out: %s; its keys are served without it", self.name, exc)


def exchange(batches: Mapping[Shard, Sequence[Command]], seconds: float) -> dict[Shard, Replies]:
    """The replies of all servers that gave them within so many seconds, asked at the same time."""
    until = time.monotonic() + seconds
    sent = {}
    for at, (shard, commands) in enumerate(batches.items()):
        # One after the other: a server that does not let us in must not take the time of those after it.
        sent[shard] = shard.send(commands, (until - time.monotonic()) / (len(batches) - at))
    replies = {shard: shard.receive(each, until) for shard, each in sent.items() if each}
    return {shard: each for shard, each in replies.items() if each is not None}


def _send(connection: Any, commands: Iterable[Command]) -> None:
    connection.send_packed_command([b"".join(map(pack_command, commands))], check_health=False)
