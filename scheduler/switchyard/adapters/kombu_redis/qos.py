"""kombu's acknowledgements: those of our messages go to our side, all others are kombu's."""

from __future__ import annotations

from typing import Any

from kombu.transport import redis as kombu_redis
from kombu.transport import virtual

from switchyard.adapters.kombu_redis.message import Message


class QoS(kombu_redis.QoS):
    """What a channel handed out: kombu keeps its own messages in hashes, ours are claims."""

    def can_consume(self) -> bool:
        """Whether there is room for another message."""
        return self.can_consume_max_estimate() != 0

    def can_consume_max_estimate(self) -> int | None:
        """How many messages there is room for; None without a prefetch limit."""
        limit: int = self.prefetch_count
        if not limit:
            return None
        # What is held counts, also from an earlier connection. Broadcasts are handed out by this channel as
        # well, but are not held.
        held: int = self.channel.consuming.held
        used = max(held, len(self._delivered) - len(self._dirty))
        return max(limit - used, 0)

    def append(self, message: Message, delivery_tag: str) -> None:
        """Note a message that was handed out."""
        if self.channel.consuming.holds(delivery_tag):
            # The task may end after this channel: what giving it back takes is kept where claims are.
            self.channel.consuming.keep(delivery_tag, message)
            virtual.QoS.append(self, message, delivery_tag)
        else:
            super().append(message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """A message is done."""
        if not self.channel.consuming.holds(delivery_tag):
            super().ack(delivery_tag)
            return
        self.channel.consuming.settle(delivery_tag)
        self.forget(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """A message is not wanted: it is done, or to be delivered again."""
        if not self.channel.consuming.holds(delivery_tag):
            super().reject(delivery_tag, requeue=requeue)
        elif not requeue:
            self.ack(delivery_tag)
        else:
            self.channel.consuming.give_back(delivery_tag)
            self.forget(delivery_tag)

    def restore_unacked(self, client: Any = None) -> None:
        """Give back what is kombu's; claims outlast this channel."""
        for tag in [tag for tag in self._delivered if self.channel.consuming.holds(tag)]:
            del self._delivered[tag]
        super().restore_unacked(client)

    def restore_unacked_once(self, stderr: Any = None) -> None:
        """As :meth:`restore_unacked`, when the channel closes."""
        if not self.channel.consuming.claims:
            super().restore_unacked_once(stderr)
            return
        self._on_collect.cancel()
        self.restore_unacked()

    def forget(self, delivery_tag: str) -> None:
        """Nobody has this message any more: there is room for another one."""
        if delivery_tag in self._delivered:
            virtual.QoS.ack(self, delivery_tag)
        self.channel.settled()
