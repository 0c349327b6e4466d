"""A node's side of claim and settle: what is in flight on the connection, what is held, what is to settle.

It outlives connections: a task that runs through a reconnect settles by its delivery tag, which carries
the epoch and the receipt of its claim.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from redis.exceptions import NoScriptError, ResponseError

from switchyard.cluster.replies import Settlement
from switchyard.cluster.state import SETTLE_MAX, State
from switchyard.models import Claim

#: Messages that one claim asks for at most when the consumer sets no prefetch limit.
CLAIM_MAX = 100
#: Task names that run times are kept for; beyond it new names are not measured.
NAMES_MAX = 200
#: Weight of the newest run time in the moving mean: about the last ten tasks count.
_NEWEST = 0.1


class _Sent(Enum):
    """What a reply on the connection answers to."""

    SETTLE = 1
    CLAIM = 2
    BELL = 3


@dataclass(frozen=True, slots=True)
class _Held:
    """A claimed message that this process has: its task (None: not measured), its queue, since when."""

    task: str | None
    queue: str
    since: float


@dataclass(frozen=True, slots=True)
class Sources:
    """Where to claim from: queues, and their lists by priority step, the most urgent first."""

    queues: tuple[str, ...]
    lists: tuple[tuple[int, tuple[str, ...]], ...]
    fair: bool

    def groups(self, waits: tuple[tuple[int, str], ...]) -> list[tuple[str, ...]]:
        """Groups of lists in the order to empty them, wait lists among the queues' of their priority."""
        groups = []
        least_urgent = self.lists[-1][0]
        for step, lists in self.lists:
            mine = (wait for at, wait in waits if at == step or at > least_urgent == step)
            groups.append((*mine, *lists))
        return groups


class Claimant:
    """Claims for one node. The event loop drives it; acks may come from any thread."""

    def __init__(
        self,
        state: State,
        name: str,
        poll: float,
        lease: float,
        max_deliveries: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.state = state
        self.name = name
        self.poll = poll
        self.lease = lease
        self.max_deliveries = max_deliveries
        self._clock = clock
        self.epoch = ""
        self.wait_lists: tuple[tuple[int, str], ...] = ()
        self.look = True
        self.stopped = False
        self.done = 0
        self.possible_duplicates = 0
        self.runtimes: dict[str, float] = {}
        self.settled: Counter[str] = Counter()
        self.on_fenced: Callable[[], None] = lambda: None
        self._held: dict[str, _Held] = {}
        self._to_settle: deque[str] = deque()
        self._to_give_back: deque[Callable[[], object]] = deque()
        self._settling: list[tuple[str, list[str]]] = []
        self._sent: deque[_Sent] = deque()
        self._asked = 0
        self._claim_epoch, self._claimed_at = "", 0.0
        self._flushing = threading.Lock()

    # -- on the connection that the event loop watches ------------------------------------------------

    def connected(self) -> None:
        """A fresh connection owes no replies; what the old one was to settle is settled again."""
        self._abandon()
        self.look, self.stopped = True, False

    def start(self, connection: Any, sources: Sources, room: int | None) -> None:
        """Send what is due, without waiting: settlements, then a claim, or a wait on the bell."""
        self._abandon()
        commands: list[tuple[str | int | float, ...]] = []
        if batch := self._next_batch():
            self._settling.append(batch)
            commands.append(self.state.settle_command(self.name, *batch))
            self._sent.append(_Sent.SETTLE)
        if self.look and self.epoch and not self.stopped:
            self._asked = CLAIM_MAX if room is None else min(room, CLAIM_MAX)
            groups = sources.groups(self.wait_lists)
            commands.append(
                self.state.claim_command(
                    self.name, self.epoch, self._asked, sources.queues, groups, sources.fair
                )
            )
            self._claim_epoch, self._claimed_at = self.epoch, self._clock()
            self._sent.append(_Sent.CLAIM)
        else:
            commands.append(("BLPOP", self.state.keys.bell(self.name), self.poll))
            self._sent.append(_Sent.BELL)
        connection.send_packed_command(connection.pack_commands(commands))

    def read(self, connection: Any) -> list[tuple[str, Claim]]:
        """Take the replies that are there, the first of them waited for: claims with their delivery tags."""
        claims: list[tuple[str, Claim]] = []
        while self._sent:
            try:
                reply = connection.read_response()
            except NoScriptError:
                self._undo(self._sent.popleft())
                self.state.load("claim", "settle")
                self.look = True
            except ResponseError:
                # Such as a full server: wait on the bell before the next try, instead of spinning.
                self._undo(self._sent.popleft())
                self.look = False
                raise
            else:
                claims += self._take(self._sent.popleft(), reply)
            if self._sent and not connection.can_read(timeout=0):
                break
        return claims

    @property
    def awaiting(self) -> bool:
        """Whether the server owes a reply."""
        return bool(self._sent)

    @property
    def awaits_claims(self) -> bool:
        """Whether a reply is on its way that may bring messages."""
        return _Sent.CLAIM in self._sent

    def _take(self, sent: _Sent, reply: Any) -> list[tuple[str, Claim]]:
        if sent is _Sent.SETTLE:
            self._settling.pop()
            self._settled(self.state.read_settlement(reply))
        elif sent is _Sent.BELL:
            self.look = True
        else:
            claimed = self.state.read_claimed(reply)
            self.look = len(claimed.claims) == self._asked
            if claimed.answer == "fenced":
                self._fenced(self._claim_epoch)
            return self._fresh([(f"{self._claim_epoch}.{claim.receipt}", claim) for claim in claimed.claims])
        return []

    def _fresh(self, claims: list[tuple[str, Claim]]) -> list[tuple[str, Claim]]:
        """The claims, unless their reply took so long (a pause, a silent network) that the lease may be gone.

        Others may be running these tasks by now. If the lease is alive after all, they are claimed again.
        """
        if claims and self._clock() - self._claimed_at > self.lease:
            self.release([tag for tag, _ in claims])
            return []
        return claims

    def _abandon(self) -> None:
        self._sent.clear()
        while self._settling:
            self._put_back(self._settling.pop())

    def _undo(self, sent: _Sent) -> None:
        """The server refused: nothing was done, so what was to settle still is."""
        if sent is _Sent.SETTLE:
            self._put_back(self._settling.pop())

    # -- holding and settling -------------------------------------------------------------------------

    def hold(self, tag: str, task: str | None, queue: str) -> None:
        """A claimed message was handed to the consumer. ``task`` names it if its run time shall count."""
        self._held[tag] = _Held(task, queue, self._clock())

    @property
    def held(self) -> int:
        """How many messages this process has that are neither settled nor released."""
        return len(self._held)

    def holds(self, tag: str) -> bool:
        """Whether this message is one of ours and not settled or released yet."""
        return tag in self._held

    def settle(self, tag: str) -> None:
        """The task is done for good. Sent with the next claim, or by :meth:`flush`."""
        held = self._held.pop(tag)
        self.done += 1
        self.settled[held.queue] += 1
        if held.task is not None:
            self._measure(held.task, self._clock() - held.since)
        self._to_settle.append(tag)

    def release(self, tags: Sequence[str], messages: Sequence[str] | None = None, front: bool = True) -> None:
        """Give messages back to their homes, oldest first, changed to ``messages`` if given.

        What can't be given back now, because the connection broke, :meth:`flush` tries again.
        """
        for tag in tags:
            self._held.pop(tag, None)
        texts = messages or [""] * len(tags)
        pairs = [(tag.partition(".")[2], text) for tag, text in zip(tags, texts, strict=True)]
        self._give_back(lambda: self.state.release(self.name, self.epoch, pairs, front))

    def crashed(self, tag: str, message: str) -> None:
        """A pool process died running this task: give it back as ``message``, or up after too many deaths."""
        self._held.pop(tag, None)
        epoch, _, receipt = tag.partition(".")
        self._give_back(lambda: self.state.crash(self.name, epoch, receipt, message, self.max_deliveries))

    def _give_back(self, operation: Callable[[], object]) -> None:
        self._to_give_back.append(operation)
        self._flush_releases()

    def _flush_releases(self) -> None:
        while self._to_give_back:
            self._to_give_back[0]()
            self._to_give_back.popleft()
            self.look = True

    def bury(self, tag: str, reason: str) -> None:
        """Set a message aside that can't be read."""
        self._held.pop(tag, None)
        epoch, _, receipt = tag.partition(".")
        self.state.bury(self.name, epoch, receipt, reason)

    def flush(self) -> None:
        """Settle what is due now, in as few round trips as it takes. Whoever comes second need not wait."""
        if not (self._to_settle or self._to_give_back) or not self._flushing.acquire(blocking=False):
            return
        try:
            self._flush_releases()
            while batch := self._next_batch():
                try:
                    settlement = self.state.settle(self.name, *batch)
                except BaseException:
                    self._put_back(batch)
                    raise
                self._settled(settlement)
        finally:
            self._flushing.release()

    def forget_all_but(self, running: Collection[str]) -> None:
        """After a lost connection: keep claims whose tasks run or are to be settled, release the others."""
        self.connected()
        for tag in [tag for tag in self._held if tag not in running]:
            del self._held[tag]
        kept = {*self._held, *self._to_settle}
        receipts = sorted(self.state.claimed_receipts(self.name), key=int)
        self.release([tag for tag in (f"{self.epoch}.{receipt}" for receipt in receipts) if tag not in kept])

    def _next_batch(self) -> tuple[str, list[str]] | None:
        """The longest run of receipts of one epoch at the head of what is to settle."""
        receipts: list[str] = []
        epoch = ""
        while self._to_settle and len(receipts) < SETTLE_MAX:
            tag_epoch, _, receipt = self._to_settle[0].partition(".")
            if receipts and tag_epoch != epoch:
                break
            epoch = tag_epoch
            receipts.append(receipt)
            self._to_settle.popleft()
        return (epoch, receipts) if receipts else None

    def _put_back(self, batch: tuple[str, list[str]]) -> None:
        self._to_settle.extendleft(f"{batch[0]}.{receipt}" for receipt in reversed(batch[1]))

    def _settled(self, settlement: Settlement) -> None:
        if settlement.fenced:
            self.possible_duplicates += settlement.possible_duplicates
            self._fenced("")

    def _fenced(self, epoch: str) -> None:
        if not epoch or epoch == self.epoch:
            self.on_fenced()

    def _measure(self, task: str, seconds: float) -> None:
        mean = self.runtimes.get(task)
        if mean is not None:
            self.runtimes[task] = mean + _NEWEST * (seconds - mean)
        elif len(self.runtimes) < NAMES_MAX:
            self.runtimes[task] = seconds
