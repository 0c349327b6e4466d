"""Acknowledging: which messages are claims of this node, and what becomes of them."""

from __future__ import annotations

from typing import Any

from kombu.transport import redis as kombu_redis
from kombu.transport import virtual
from kombu.utils.json import dumps

from switchyard.cluster.claimant import Claimant


class UnreadableMessage(Exception):
    """A claimed message is not what kombu writes."""


class Message(virtual.Message):
    """kombu's message, which says so when its payload is no message at all.

    ``process_died`` says that the pool process which ran its task is dead.
    """

    process_died = False

    def __init__(self, payload: Any, channel: Any = None, **kwargs: Any) -> None:
        try:
            super().__init__(payload, channel=channel, **kwargs)
        except Exception as exc:
            raise UnreadableMessage(f"not a kombu message: {type(exc).__name__}: {exc}") from exc
        if self.body is None:
            # Celery would stop the worker when it tries to show such a message in its log.
            raise UnreadableMessage("not a kombu message: it has no body")


class QoS(kombu_redis.QoS):
    """Acknowledgements of claimed messages go to the claimant; all others are kombu's."""

    def can_consume(self) -> bool:
        """Whether the node has room: what it holds counts, also what an earlier connection brought."""
        if self.channel.claimant is None:
            return bool(super().can_consume())
        return self.can_consume_max_estimate() != 0

    def can_consume_max_estimate(self) -> int | None:
        """How many messages there is room for; None without a prefetch limit."""
        claimant: Claimant | None = self.channel.claimant
        if claimant is None:
            room: int | None = super().can_consume_max_estimate()
            return room
        limit: int = self.prefetch_count
        if not limit:
            return None
        # Broadcasts are handed out by this channel as well, but are nobody's claims.
        used = max(claimant.held, len(self._delivered) - len(self._dirty))
        return max(limit - used, 0)

    def append(self, message: Any, delivery_tag: str) -> None:
        """Note a message that was handed out."""
        if self._claimant_of(delivery_tag):
            virtual.QoS.append(self, message, delivery_tag)
        else:
            super().append(message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Settle a claimed message; the round trip is shared with others."""
        claimant = self._claimant_of(delivery_tag)
        if claimant is None:
            super().ack(delivery_tag)
            return
        claimant.settle(delivery_tag)
        virtual.QoS.ack(self, delivery_tag)
        self.channel.after_settle()

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Settle a claimed message, or give it back to the end of its queue, as kombu does."""
        claimant = self._claimant_of(delivery_tag)
        if claimant is None:
            super().reject(delivery_tag, requeue=requeue)
            return
        if not requeue:
            self.ack(delivery_tag)
            return
        message = self._delivered[delivery_tag]
        text = dumps(redelivered(message._raw))
        if message.process_died:
            claimant.crashed(delivery_tag, text)
        else:
            claimant.release([delivery_tag], [text], front=False)
        virtual.QoS.ack(self, delivery_tag)
        self.channel.after_settle()

    def restore_unacked(self, client: Any = None) -> None:
        """Give back what is kombu's; claims live in Redis and outlast this channel."""
        for tag in [tag for tag in self._delivered if self._claimant_of(tag)]:
            del self._delivered[tag]
        super().restore_unacked(client)

    def restore_unacked_once(self, stderr: Any = None) -> None:
        """As :meth:`restore_unacked`, when the channel closes."""
        if self.channel.claimant is None:
            super().restore_unacked_once(stderr)
            return
        self._on_collect.cancel()
        self.restore_unacked()

    def _claimant_of(self, delivery_tag: str) -> Claimant | None:
        claimant: Claimant | None = self.channel.claimant
        return claimant if claimant is not None and claimant.holds(delivery_tag) else None


def redelivered(payload: dict[str, Any]) -> dict[str, Any]:
    """Mark a message as kombu marks one that it hands out again."""
    try:
        payload["headers"]["redelivered"] = True
        payload["properties"]["delivery_info"]["redelivered"] = True
    except (KeyError, TypeError):
        return payload
    return payload
