"""One server of the ring: its connections, its breaker, and what this process knows of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis.exceptions import NoScriptError, RedisError

from switchyard.cache.breaker import Breaker, Decision
from switchyard.cache.figures import Counters
from switchyard.cache.refusals import Refusals, is_refusal
from switchyard.cache.ring.entry import LIFE
from switchyard.cache.ring.link import Address, Link
from switchyard.cache.ring.operations import Admission, Command, Operations, read_admission
from switchyard.forking import PerProcess

logger = logging.getLogger(__name__)

Replies = list[Any]


@dataclass(frozen=True, slots=True)
class Sent:
    """Commands whose replies are under way, behind those of a greeting of so many commands."""

    link: Link
    commands: Sequence[Command]
    greeted: int = 0


class Shard:
    """A server, its ``name`` (address without credentials) and ``weight``.

    It is ``doubted`` until it is known that it missed no write; reads then ask the other owners too.
    """

    def __init__(
        self,
        name: str,
        url: str,
        weight: int,
        operations: Operations,
        counters: Counters,
        refusals: Refusals,
    ) -> None:
        self.name = name
        self.weight = weight
        self.breaker = Breaker()
        self.doubted = True
        self.doubts = 0
        self.life = b""
        self._operations = operations
        self._counters = counters
        self._refusals = refusals
        self._where = f"server {name}"
        self._clock_ms = 0.0
        self._address = Address(url)
        self._idle: PerProcess[list[Link]] = PerProcess(list)
        self._closed = False

    def admits(self) -> bool:
        """Whether to try this server now; leaving it out puts it in doubt."""
        if self.breaker.closed or self.breaker.decide(time.monotonic()) is not Decision.SKIP:
            return True
        self.doubt()
        return False

    @property
    def known(self) -> bool:
        """Whether its clock and life are known, without which nothing can be written to it."""
        return bool(self.life)

    def doubt(self) -> None:
        """The server may miss a write."""
        self.doubts += 1
        self.doubted = True

    def trust(self, doubts: int) -> None:
        """The server misses nothing, unless it was doubted again since there were so many ``doubts``."""
        if self.doubts == doubts:
            self.doubted = False

    def took_write(self) -> None:
        """The server does what it is told, if it refused to before."""
        self._refusals.taken(self._where)

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
        """Send commands, which may take so many seconds; None, counted, if that failed."""
        try:
            return self._send(commands, time.monotonic() + seconds)
        except (RedisError, OSError) as exc:
            self._failed(exc)
            return None

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
        """Let go of the connections, and of those in use once their replies are read."""
        self._closed = True
        self._drop_idle()

    def _send(self, commands: Sequence[Command], until: float) -> Sent:
        link = self._idle_link()
        if link is None:
            return self._greet(commands, until)
        try:
            link.send(commands, until)
        except ConnectionError:  # the server closed an idle connection
            self._drop_idle()
            return self._greet(commands, until)
        return Sent(link, commands)

    def _greet(self, commands: Sequence[Command], until: float) -> Sent:
        """Send commands on a new connection, behind what every connection begins with."""
        link = self._address.connect(until)
        greeting = [*self._address.greeting(), *self._operations.loads(), self._operations.admit()]
        link.send([*greeting, *commands], until)
        return Sent(link, commands, len(greeting))

    def _replies(self, sent: Sent, until: float) -> Replies:
        try:
            return self._read(sent, until)
        except (ConnectionError, NoScriptError):
            # The server closed an idle connection, or forgot our scripts: a new connection mends both.
            if sent.greeted:
                raise
        self._drop_idle()
        return self._read(self._greet(sent.commands, until), until)

    def _read(self, sent: Sent, until: float) -> Replies:
        replies = sent.link.read(sent.greeted + len(sent.commands), until)
        if sent.greeted:
            self._admitted(replies[sent.greeted - 1])
        self._idle.get().append(sent.link)
        if self._closed:
            self._drop_idle()
        return replies[sent.greeted :]

    def _idle_link(self) -> Link | None:
        try:
            return self._idle.get().pop()
        except IndexError:
            return None

    def _admitted(self, reply: list[Any]) -> Admission:
        admission = read_admission(reply)
        self._clock_ms = admission.now_ms - time.monotonic() * 1000
        self.learn(admission.life)
        return admission

    def _drop_idle(self) -> None:
        for link in self._idle.take() or ():
            link.close()

    def _failed(self, exc: Exception) -> None:
        self._counters.failed()
        self.doubt()
        if is_refusal(exc):
            self._refusals.refused(self._where, exc)
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
