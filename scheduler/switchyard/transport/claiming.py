"""A channel's side towards its consumer: claims for a node, and what becomes of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from kombu.utils.json import dumps, loads

from switchyard.adapters.kombu_redis.message import Message, Payload, UnreadableMessage
from switchyard.adapters.kombu_redis.sides import RedisChannel
from switchyard.cluster.claimant.claimant import Claimant
from switchyard.cluster.claimant.sources import Sources
from switchyard.cluster.state import State
from switchyard.errors import one_line
from switchyard.models import Claim
from switchyard.transport.delivery import DELIVERY

_log = logging.getLogger(__name__)


class Claiming:
    """Nothing of its own until :meth:`claim_for`; from then on it stands between kombu and the claimant."""

    def __init__(self, channel: RedisChannel, state: Callable[[], State]) -> None:
        self._channel = channel
        self._state = state
        self._claimant: Claimant | None = None
        self._others: Sequence[Claimant] = ()
        self._sources: Sources | None = None
        self._served: set[str] = set()

    # -- the node's -----------------------------------------------------------------------------------

    def claim_for(self, claimant: Claimant, others: Sequence[Claimant] = ()) -> None:
        """From now on this channel claims for a node, instead of popping from the lists.

        What ``others`` still hold, that the node claimed on other servers before, takes room as well.
        """
        self._claimant, self._others = claimant, others
        claimant.connected()

    def stop(self) -> None:
        """Claim nothing more; what a reply still brings goes back at once."""
        claimant = self._claimant
        if claimant is None:
            return
        claimant.stopped = True
        if self._channel.polled is not None and claimant.awaits_claims:
            self._release(claimant, claimant.read(self._channel.polled))
        claimant.flush()

    # -- kombu's --------------------------------------------------------------------------------------

    @property
    def claims(self) -> bool:
        """Whether the channel claims."""
        return self._claimant is not None

    @property
    def awaiting(self) -> bool:
        """Whether the server owes a reply to what the claimant sent."""
        return self._claimant is not None and self._claimant.awaiting

    @property
    def is_silent(self) -> bool:
        """Whether a reply has been due for a lease."""
        return self._claimant is not None and self._claimant.overdue > self._claimant.lease

    @property
    def held(self) -> int:
        """How many claimed messages this process has."""
        mine = () if self._claimant is None else (self._claimant, *self._others)
        return sum(len(claimant.held) for claimant in mine)

    def start(self, connection: Any, queues: tuple[str, ...], room: int | None) -> None:
        """Claim up to ``room`` messages, or wait on the bell."""
        if self._claimant is not None:
            self._claimant.start(connection, self._sources_of(queues), room)

    def read(self, connection: Any) -> Callable[[], None] | None:
        """Take the claims that are there; what is returned hands them to the consumer."""
        claimant = self._claimant
        claims = [] if claimant is None else claimant.read(connection)
        if claimant is not None and claimant.ending:
            self._release(claimant, claims)
            return None
        return partial(self._deliver, claimant, claims) if claimant is not None and claims else None

    def flush(self) -> None:
        """Settle what no claim took along. While one is under way the next can, without a wait."""
        if self._claimant is not None and not self._claimant.awaits_claims:
            self._claimant.flush()

    def holds(self, tag: str) -> bool:
        """Whether this is a claim of this node that is not settled or released yet."""
        return self._claimant is not None and tag in self._claimant.held

    def acknowledge(self, tag: str) -> None:
        """The task of a claimed message starts, which shall never be given back. Any thread may say so."""
        if self._claimant is not None:
            self._claimant.acknowledge(tag)

    def is_done(self, tag: str) -> None:
        """The task of a claimed message is done; :meth:`settle` follows. Any thread may say so."""
        if self._claimant is not None:
            self._claimant.is_done(tag)

    def settle(self, tag: str) -> None:
        """Settle a claimed message; the round trip is shared with others."""
        if self._claimant is not None:
            self._claimant.settle(tag)

    def keep(self, tag: str, message: Message) -> None:
        """Keep a message that was handed to the consumer until its task is done, even past this channel."""
        if self._claimant is not None:
            self._claimant.held.keep(tag, message)

    def give_back(self, tag: str) -> None:
        """Give a message back to the end of its queue, as kombu does; a death is counted."""
        claimant = self._claimant
        message: Message | None = None if claimant is None else claimant.held.message(tag)
        if claimant is None or message is None:
            return
        text = dumps(redelivered(message.as_sent))
        if message.process_died:
            claimant.crashed(tag, text)
        else:
            claimant.release([tag], [text], front=False)

    def refuse(self, tag: str, reason: str, callers_know: bool) -> None:
        """Set a message aside if it is one of ours: nobody can run it."""
        if self._claimant is not None and tag in self._claimant.held:
            self._claimant.bury(tag, reason, tell=not callers_know)
            self._channel.forget(tag)

    # -- delivering -----------------------------------------------------------------------------------

    def _deliver(self, claimant: Claimant, claims: list[tuple[str, Claim]]) -> None:
        """Hand messages to the consumer; those it has not seen when it raises go back."""
        left = list(reversed(claims))
        try:
            while left:
                self._deliver_one(claimant, *left.pop())
        finally:
            self._release(claimant, left[::-1])

    def _deliver_one(self, claimant: Claimant, tag: str, claim: Claim) -> None:
        queue = self._state().keys.queue_of(claim.home)
        if not self._channel.consumes(queue):
            self._turn_down(claimant, tag, claim.home, queue)
            return
        claimant.hold(tag, None, queue)
        try:
            payload = _payload(claim, tag)
            claimant.hold(tag, _measured_task(payload), queue)
            self._channel.deliver(payload, queue)
        except self._channel.connection_errors:
            raise
        except Exception as exc:
            # Whatever it is, this message brought it about: it must not end one node after the other.
            reason = one_line(exc)
            _log.error(
                "A message of queue %r can't be delivered: %s; see switchyard dead list", queue, reason
            )
            self.refuse(tag, reason, callers_know=False)

    def _turn_down(self, claimant: Claimant, tag: str, home: str, queue: str) -> None:
        """Give a message back that came by a list of no queue of ours, and not claim it at once again."""
        reason = f"gives tasks of queue {queue!r} back, since it consumes from no queue of this name"
        if queue in self._served:  # its consumer was cancelled while the message was on its way
            claimant.avoided.add(home, "")
        elif claimant.avoided.add(home, reason):
            _log.warning(
                "Node %s %s; see that producers and nodes have the same broker_transport_options",
                claimant.name,
                reason,
            )
        claimant.release([tag])

    @staticmethod
    def _release(claimant: Claimant, claims: list[tuple[str, Claim]]) -> None:
        if claims:
            claimant.release([tag for tag, _ in claims])

    def _sources_of(self, queues: tuple[str, ...]) -> Sources:
        if self._sources is None or self._sources.queues != queues:
            channel = self._channel
            prefix = channel.global_keyprefix
            lists = [
                (step, tuple(prefix + channel.list_name(queue, step) for queue in queues))
                for step in channel.priority_steps
            ]
            fair = channel.queue_order_strategy == "round_robin"
            self._sources = Sources(queues, tuple(lists), fair)
            self._served.update(queues)
        return self._sources


def redelivered(payload: Payload) -> Payload:
    """Mark a message as kombu marks one that it hands out again."""
    try:
        payload["headers"]["redelivered"] = True
        payload["properties"]["delivery_info"]["redelivered"] = True
    except (KeyError, TypeError):
        return payload
    return payload


def _payload(claim: Claim, tag: str) -> Payload:
    """The message as kombu wrote it, with a delivery tag that names the claim. Raises UnreadableMessage."""
    try:
        payload: Payload = loads(claim.message)
        payload["properties"]["delivery_tag"] = tag
    except Exception as exc:  # kombu's reader makes more than JSON of what it finds
        raise UnreadableMessage(f"not a kombu message: {one_line(exc)}") from exc
    if isinstance(payload.get("headers"), dict):
        payload["headers"][DELIVERY] = {"count": claim.deliveries + 1, "token": int(claim.receipt)}
    return redelivered(payload) if claim.deliveries else payload


def _measured_task(payload: Payload) -> str | None:
    headers = payload.get("headers")
    if not isinstance(headers, dict) or headers.get("eta"):
        return None
    task = headers.get("task")
    return task if isinstance(task, str) else None
