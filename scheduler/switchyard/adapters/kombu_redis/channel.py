"""kombu's Redis transport, whose private hooks ask our sides. Versions: kombu 5.4.2 to 5.7."""

from __future__ import annotations

import logging
from collections.abc import Collection
from time import monotonic
from typing import Any

from kombu.transport import redis as kombu_redis
from redis.exceptions import ConnectionError

from switchyard.adapters.kombu_redis.batch import PublishBatch
from switchyard.adapters.kombu_redis.deadlines import ANSWERS_S, CONNECTS_S, keepalive
from switchyard.adapters.kombu_redis.message import Message, Payload
from switchyard.adapters.kombu_redis.poller import Poller
from switchyard.adapters.kombu_redis.qos import QoS
from switchyard.adapters.kombu_redis.sides import Consuming, Publishing
from switchyard.adapters.redis_refusals import RefusedForNow, telling_refusals

_log = logging.getLogger(__name__)

#: A base that mypy looks through: the classes of kombu, which has no types, are mixed in at the end.
_Kombus: Any = object


class Hooks(_Kombus):
    """Mixed into kombu's channels: asks our sides where kombu has a hook, else does what kombu does."""

    QoS = QoS
    Message = Message
    #: Transport option: tells clusters on one database apart.
    switchyard_namespace = "switchyard"
    #: kombu's transport options of these names, where the user does not give them.
    socket_connect_timeout = CONNECTS_S
    socket_timeout = ANSWERS_S
    socket_keepalive = True
    socket_keepalive_options = keepalive()

    publishing: Publishing
    consuming: Consuming
    #: kombu sets it from 5.7 on; before, no queue expires.
    _expires: Collection[str] = ()
    _kept_client: Any = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.publishing, self.consuming = self.sides()
        super().__init__(*args, **kwargs)

    def sides(self) -> tuple[Publishing, Consuming]:
        """Ours of this channel."""
        raise NotImplementedError

    # -- RedisChannel, for our sides ------------------------------------------------------------------

    @property
    def polled(self) -> Any:
        """The connection on which a reply is due, None if none is."""
        return self._in_poll or None

    def list_name(self, queue: str, step: int) -> str:
        """The list for messages of this queue and priority, without the global prefix."""
        return str(self._q_for_pri(queue, step))

    def step_of(self, message: Payload) -> int:
        """The priority step of a message."""
        return int(self.priority(self._get_message_priority(message, reverse=False)))

    def expires(self, queue: str) -> bool:
        """Whether the queue was declared with ``x-expires``."""
        return queue in self._expires

    def put_stock(self, queue: str, message: Payload) -> None:
        """Put a message as kombu does."""
        super()._put(queue, message)

    def put_fanout_stock(self, exchange: str, message: Payload, routing_key: str) -> None:
        """Publish a message as kombu does."""
        super()._put_fanout(exchange, message, routing_key)

    def consumes(self, queue: str) -> bool:
        """Whether somebody on this connection wants messages of the queue."""
        return queue in self.connection._callbacks

    def deliver(self, payload: Payload, queue: str) -> None:
        """Hand a message to the consumer; the queue is then the last in turn."""
        self._queue_cycle.rotate(queue)
        self.connection._deliver(payload, queue)

    def forget(self, tag: str) -> None:
        """Nobody has the message with this tag any more: there is room for another one."""
        self.qos.forget(tag)

    def settled(self) -> None:
        """A slot came free, and there is something to tell the server. Whoever polls does it, at once.

        It may be one of many greenlets or threads that calls this; with an event loop, that one turns anyhow.
        """
        transport = self.connection
        if transport is not None and not transport.has_event_loop:
            transport.cycle.wake()

    def require_answers(self) -> None:
        """Raises ConnectionError if the server has been silent for too long: then all is connected anew."""
        if self._in_poll and self.consuming.is_silent:
            self._in_poll.disconnect()
            # redis-py's errors do not say in Celery's log what they are about.
            _log.warning("The broker does not answer any more; all connections to it are made anew.")
            raise ConnectionError("the broker does not answer any more")

    # -- kombu's hooks --------------------------------------------------------------------------------

    def _create_client(self, asynchronous: bool = False) -> Any:
        # kombu builds a client for every command, about 100 us each; its pool makes one enough.
        if asynchronous:
            return super()._create_client(asynchronous)
        if self._kept_client is None or self._kept_client.connection_pool is not self.pool:
            self._kept_client = super()._create_client()
        return self._kept_client

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        params: dict[str, Any] = super()._connparams(asynchronous)
        return params | {"connection_class": telling_refusals(params["connection_class"])}

    def _put(self, queue: str, message: Payload, **kwargs: Any) -> None:
        batch: PublishBatch | None = kwargs.get("_publish_batch")
        left = self.publishing.put(queue, message, None if batch is None else batch.ours)
        if left is not None:
            super()._put(queue, left, **kwargs)
        elif batch is not None:
            batch.count()

    def _put_fanout(self, exchange: str, message: Payload, routing_key: str, **kwargs: Any) -> None:
        left = self.publishing.put_fanout(exchange, message, routing_key)
        if left is not None:
            super()._put_fanout(exchange, left, routing_key, **kwargs)

    def create_publish_batch(self, max_size: int) -> PublishBatch:
        """What ``Producer.batch`` collects in; kombu asks for it from 5.7 on."""
        return PublishBatch(self, max_size)

    def _brpop_start(self, *args: Any, **kwargs: Any) -> None:
        if not self.consuming.claims:
            super()._brpop_start(*args, **kwargs)
            return
        queues = tuple(self._queue_cycle.consume(len(self.active_queues)))
        if queues:
            self._in_poll = self.client.connection
            self._brpop_sent_at = monotonic()  # kombu's look after dead connections reads it, from 5.7 on
            self.consuming.start(self._in_poll, queues, self.qos.can_consume_max_estimate())
            if not self.consuming.awaiting:
                self._in_poll = None

    def _brpop_read(self, **options: Any) -> bool:
        # A reply may still be due to what kombu sent before this channel was the node's (Mingle does).
        if not self.consuming.awaiting:
            return bool(super()._brpop_read(**options))
        connection = self.client.connection
        try:
            deliver = self.consuming.read(connection)
        except self.connection_errors:
            connection.disconnect()
            raise
        finally:
            if not self.consuming.awaiting:
                self._in_poll = None
                self._renew_credentials()
        if deliver is None:
            raise kombu_redis.Empty()
        deliver()
        return True

    def _renew_credentials(self) -> None:
        """What kombu does from 5.7 on when nothing is in flight on the polled connection."""
        if renew := getattr(self, "_flush_brpop_reauth", None):
            renew()

    def _size(self, queue: str) -> int:
        return self.publishing.size(queue)

    def _has_queue(self, queue: str, **kwargs: Any) -> bool:
        # For kombu an empty queue does not exist.
        return bool(super()._has_queue(queue, **kwargs)) or self._size(queue) > 0

    def _purge(self, queue: str) -> int:
        return self.publishing.purge(queue)

    def close(self) -> None:
        """Close the channel. Nobody will read a reply that is still due to us."""
        if self.consuming.claims:
            self._in_poll = None
        super().close()


class Channel(Hooks, kombu_redis.Channel):
    """kombu's Redis channel with our hooks."""

    from_transport_options = (*kombu_redis.Channel.from_transport_options, "switchyard_namespace")


class SentinelChannel(Hooks, kombu_redis.SentinelChannel):
    """kombu's Sentinel channel with our hooks."""

    from_transport_options = (*kombu_redis.SentinelChannel.from_transport_options, "switchyard_namespace")


class Transport(kombu_redis.Transport):
    """kombu's Redis transport with our poller; a subclass names its channels."""

    has_event_loop = False
    #: After these kombu and Celery connect anew and go on.
    connection_errors = (*kombu_redis.Transport.connection_errors, RefusedForNow)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cycle = Poller()

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        """Let Celery's event loop drive the channels."""
        self.has_event_loop = True
        super().register_with_event_loop(connection, loop)
