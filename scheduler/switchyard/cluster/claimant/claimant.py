"""A node's side of claim and settle: what is in flight on the connection, what is held, what is to settle.

It outlives connections: a task that runs through a reconnect settles by its delivery tag, which carries
the epoch and the receipt of its claim.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import Any

from redis.exceptions import NoScriptError, ResponseError

from switchyard.adapters.redis_client import Argument, RawConnection, send_all
from switchyard.adapters.redis_refusals import RefusedForNow
from switchyard.cluster import calls
from switchyard.cluster.avoided import Avoided
from switchyard.cluster.claimant.finished import Finished
from switchyard.cluster.claimant.held import Held, HeldMessages
from switchyard.cluster.claimant.outgoing import Outgoing
from switchyard.cluster.claimant.refused import Refused
from switchyard.cluster.claimant.sent import Sent
from switchyard.cluster.claimant.sources import Sources
from switchyard.cluster.claimant.unsettled import Batch, epoch_and_receipt, tag_of
from switchyard.cluster.replies.answers import Settlement
from switchyard.cluster.state import State
from switchyard.models import Claim

#: Messages that one claim asks for at most when the consumer sets no prefetch limit.
CLAIM_MAX = 100


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
        self.claim_next = True
        self.stopped = False
        #: Set for good, also by a signal handler: nothing more is claimed.
        self.ending = False
        self.possible_duplicates = 0
        self.newest = 0
        self.finished = Finished()
        self.avoided = Avoided(clock)
        self._refused = Refused(name, poll, clock)
        self.on_fenced: Callable[[], None] = lambda: None
        self.held = HeldMessages()
        self._outgoing = Outgoing(self._settle, self._acknowledge, self._returned, self._refused)
        self._settling: list[Batch] = []
        self._sent: deque[Sent] = deque()
        self._asked = 0
        self._claim_epoch, self._asked_at = "", 0.0

    # -- on the connection that the event loop watches ------------------------------------------------

    def connected(self) -> None:
        """A fresh connection owes no replies; what the old one was to settle is settled again."""
        self.abandon()
        self.claim_next, self.stopped = True, False

    def start(self, connection: RawConnection, sources: Sources, room: int | None) -> None:
        """Send what is due, without waiting: settlements, then a claim, or a wait on the bell."""
        self.abandon()
        if not self._refused.may_ask:
            return
        keys, commands = self.state.keys, list[tuple[Argument, ...]]()
        if batch := self._outgoing.unsettled.next_batch():
            self._settling.append(batch)
            commands.append(calls.settle(keys, self.name, *batch).command())
            self._sent.append(Sent.SETTLE)
        if self.claim_next and self.epoch and not (self.stopped or self.ending):
            self._asked = CLAIM_MAX if room is None else min(room, CLAIM_MAX)
            groups = sources.groups(self.wait_lists)
            if self.avoided:
                groups = self.avoided.without(groups)
            claim = calls.claim(
                keys, self.name, self.epoch, self._asked, sources.queues, groups, sources.fair
            )
            commands.append(claim.command())
            self._claim_epoch = self.epoch
            self._sent.append(Sent.CLAIM)
        else:
            commands.append(("BLPOP", keys.bell(self.name), self.poll))
            self._sent.append(Sent.BELL)
        self._asked_at = self._clock()
        try:
            send_all(connection, commands)
        except RefusedForNow as exc:  # the connection's own look whether the server is there
            self.abandon()
            self._refused.refused(exc)

    def read(self, connection: RawConnection) -> list[tuple[str, Claim]]:
        """Take the replies that are there, the first of them waited for: claims with their delivery tags."""
        claims: list[tuple[str, Claim]] = []
        while self._sent:
            try:
                reply = connection.read_response()
            except NoScriptError:
                self._undo(self._sent.popleft())
                self.state.runner.load("cluster/claim", "cluster/settle")
                self.claim_next = True
            except RefusedForNow as exc:
                self._undo(self._sent.popleft())
                self._refused.refused(exc)
                if exc.elsewhere:
                    connection.disconnect()
                    self.abandon()
            except ResponseError:
                # Whatever it is: wait on the bell before the next try, instead of spinning.
                self._undo(self._sent.popleft())
                self.claim_next = False
                raise
            else:
                self._refused.taken()
                claims += self._take(self._sent.popleft(), reply)
            if self._sent and not connection.can_read(timeout=0):
                break
        return claims

    @property
    def awaiting(self) -> bool:
        """Whether the server owes a reply."""
        return bool(self._sent)

    @property
    def overdue(self) -> float:
        """Seconds since the server should have replied: it waits no longer than ``poll`` before it does."""
        return self._clock() - self._asked_at - self.poll if self._sent else 0.0

    @property
    def awaits_claims(self) -> bool:
        """Whether a reply is on its way that may bring messages."""
        return Sent.CLAIM in self._sent

    def _take(self, sent: Sent, reply: Any) -> list[tuple[str, Claim]]:
        if sent is Sent.SETTLE:
            self._settled(calls.read_settlement(reply))
            self._outgoing.unsettled.done(self._settling.pop())
        elif sent is Sent.BELL:
            self.claim_next = True
        else:
            claimed = calls.read_claimed(reply)
            self.newest = max([self.newest, *(int(claim.receipt) for claim in claimed.claims)])
            self.claim_next = claimed.answer == "more" or len(claimed.claims) == self._asked
            if claimed.answer == "fenced":
                self._fenced(self._claim_epoch)
            return self._fresh(
                [(tag_of(self._claim_epoch, claim.receipt), claim) for claim in claimed.claims]
            )
        return []

    def _fresh(self, claims: list[tuple[str, Claim]]) -> list[tuple[str, Claim]]:
        """The claims, unless their reply took so long (a pause, a silent network) that the lease may be gone.

        Others may be running these tasks by now. If the lease is alive after all, they are claimed again.
        """
        if claims and self._clock() - self._asked_at > self.lease:
            self.release([tag for tag, _ in claims])
            return []
        return claims

    def abandon(self) -> None:
        """Nobody will read the replies that are due: what they would say is settled is settled again."""
        self._sent.clear()
        while self._settling:
            self._outgoing.unsettled.put_back(self._settling.pop())

    def _undo(self, sent: Sent) -> None:
        """The server refused: nothing was done, so what was to settle still is."""
        if sent is Sent.SETTLE:
            self._outgoing.unsettled.put_back(self._settling.pop())

    # -- holding and settling -------------------------------------------------------------------------

    def hold(self, tag: str, task: str | None, queue: str) -> None:
        """A claimed message was handed to the consumer. ``task`` names it if its run time shall count."""
        self.held.add(tag, Held(task, queue, self._clock()))

    @property
    def accounted(self) -> int:
        """How many claims this process knows of: held, or on their way to be settled or given back."""
        return len(self.held) + len(self._outgoing)

    def tags(self) -> set[str]:
        """The delivery tags of these claims. Any thread may ask."""
        return {*self.held.tags(), *self._outgoing.tags()}

    def acknowledge(self, tag: str) -> None:
        """The task starts, and shall never run again: the claim only counts, until :meth:`settle`."""
        if tag in self.held:
            self._outgoing.unacknowledged.add(tag)

    def is_done(self, tag: str) -> None:
        """The task is done for good; :meth:`settle` follows, when the event loop comes to it."""
        if self.held.is_done(tag):
            self._outgoing.unsettled.add(tag)

    def settle(self, tag: str) -> None:
        """The task is done for good. Sent with the next claim, or by :meth:`flush`."""
        self.is_done(tag)
        if (held := self.held.drop(tag)) is not None:
            self.finished.add(held.queue, held.task, self._clock() - held.since)

    def release(self, tags: Sequence[str], messages: Sequence[str] | None = None, front: bool = True) -> None:
        """Give messages back to their homes, oldest first, changed to ``messages`` if given."""
        texts = messages or [""] * len(tags)
        pairs = [(epoch_and_receipt(tag)[1], text) for tag, text in zip(tags, texts, strict=True)]
        self._return(*tags, operation=lambda: self.state.release(self.name, self.epoch, pairs, front))

    def crashed(self, tag: str, message: str) -> None:
        """A pool process died running this task: give it back as ``message``, or up after too many deaths."""
        epoch, receipt = epoch_and_receipt(tag)
        limit = self.max_deliveries
        self._return(tag, operation=lambda: self.state.crash(self.name, epoch, receipt, message, limit))

    def forget(self, tag: str) -> None:
        """Nothing in this process knows this claim any more: give it back; if it was held, with a death."""
        if tag in self.held:
            self.crashed(tag, "")
        else:
            self.release([tag])

    def bury(self, tag: str, reason: str, tell: bool) -> None:
        """Set a message aside that can't be run. ``tell`` its callers, if nobody else has."""
        epoch, receipt = epoch_and_receipt(tag)
        self._return(tag, operation=lambda: self.state.bury(self.name, epoch, receipt, reason, tell))

    def _return(self, *tags: str, operation: Callable[[], object]) -> None:
        """Sent by :meth:`flush`: whoever calls this may be one of many, and the connections are few."""
        self._outgoing.returns.add(*tags, operation=operation)
        for tag in tags:
            self.held.drop(tag)

    @property
    def is_due(self) -> bool:
        """Whether :meth:`flush` has something to send."""
        return self._outgoing.is_due

    def flush(self) -> None:
        """Send what is to be settled or given back. Any thread or greenlet may call; one at a time sends."""
        self._outgoing.flush()

    def forget_all_but(self, running: Collection[str]) -> None:
        """After a lost connection: keep claims whose tasks run or are to be settled, release the others."""
        self.connected()
        for tag in [tag for tag in self.held.tags() if tag not in running]:
            self.held.drop(tag)
        kept = self.tags()
        receipts = sorted(self.state.claimed_receipts(self.name), key=int)
        tags = [tag_of(self.epoch, receipt) for receipt in receipts]
        if unknown := [tag for tag in tags if tag not in kept]:
            self.release(unknown)
        self.flush()

    def keep_only(self, running: Collection[str]) -> None:
        """The consumer left this server: give back what is held and does not run, once it answers."""
        self.abandon()
        kept = {*running, *self._outgoing.tags()}
        if idle := [tag for tag in self.held.tags() if tag not in kept]:
            self.release(idle)

    def _settle(self, batch: Batch) -> None:
        self._settled(self.state.settle(self.name, *batch))

    def _acknowledge(self, batch: Batch) -> None:
        epoch, receipts = batch
        if not self.state.acknowledge(self.name, epoch, receipts):
            self._settle(batch)  # that of a fenced epoch takes back the copies that nobody has claimed yet
            for receipt in receipts:
                self.held.is_done(tag_of(epoch, receipt))

    def _returned(self) -> None:
        self.claim_next = True

    def _settled(self, settlement: Settlement) -> None:
        if settlement.fenced:
            self.possible_duplicates += settlement.possible_duplicates
            self._fenced("")

    def _fenced(self, epoch: str) -> None:
        if not epoch or epoch == self.epoch:
            self.on_fenced()
