"""kombu's Redis transport with our place, claim and settle in it.

Only a message that carries a placement goes through **place**, and only the channel of a registered node
claims. Everything else, replies and events and other people's consumers, stays stock.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from kombu.transport import redis as kombu_redis
from kombu.transport.redis import Empty
from kombu.utils.json import dumps, loads
from redis import Redis

from switchyard.cluster.claimant import Claimant
from switchyard.cluster.keys import Keys
from switchyard.cluster.sources import Sources
from switchyard.cluster.state import State
from switchyard.models import Claim
from switchyard.placement.router import PLACEMENT, PlacementRequest
from switchyard.transport.batch import DRAFTS, Draft, Letter, PublishBatch
from switchyard.transport.delivery import DELIVERY
from switchyard.transport.poller import Poller
from switchyard.transport.qos import Message, QoS, UnreadableMessage, redelivered

#: Message properties that are for us and go no further.
_OURS = frozenset({PLACEMENT, DRAFTS})


class Placing:
    """What our channels have beyond kombu's; mixed into the plain and the Sentinel channel."""

    QoS = QoS
    Message = Message
    #: Transport option: tells clusters on one database apart.
    switchyard_namespace = "switchyard"

    claimant: Claimant | None = None
    _kept_client: Any = None
    _state: State | None = None
    _state_pool: Any = None
    _sources: tuple[tuple[str, ...], Sources] | None = None

    # -- connections ----------------------------------------------------------------------------------

    def _create_client(self: Any, asynchronous: bool = False) -> Any:
        # kombu builds a client for every command, about 100 us each; its pool makes one enough.
        if asynchronous:
            return super()._create_client(asynchronous)  # type: ignore[misc]
        if self._kept_client is None or self._kept_client.connection_pool is not self.pool:
            self._kept_client = super()._create_client()  # type: ignore[misc]
        return self._kept_client

    @property
    def cluster_state(self: Any) -> State:
        """The cluster's state over this channel's connection pool."""
        if self._state is None or self._state_pool is not self.pool:
            # Not self.Client: it may prefix keys, which ours carry already.
            keys = Keys(self.switchyard_namespace, self.global_keyprefix)
            self._state, self._state_pool = State(Redis(connection_pool=self.pool), keys), self.pool
        state: State = self._state
        return state

    # -- placing --------------------------------------------------------------------------------------

    def _put(self: Any, queue: str, message: dict[str, Any], **kwargs: Any) -> None:
        request, drafts, message = _split(message)
        if drafts is not None:
            drafts.append(self._draft(request, queue, message))
            return
        # A queue that expires lives and dies with its one list; an inbox would outlive it.
        if request is None or queue in self._expires:
            super()._put(queue, message, **kwargs)  # type: ignore[misc]
            return
        step, ahead = self._step_and_ahead(queue, message)
        batch = kwargs.get("_publish_batch")
        if batch is not None:
            batch.place(request, queue, ahead, step, dumps(message))
            return
        state = self.cluster_state
        placement = request.placement(queue, step, state.snapshot)
        request.placer.cluster.learn(state.place(placement, queue, ahead, step, dumps(message)))

    def _step_and_ahead(self: Any, queue: str, message: dict[str, Any]) -> tuple[int, list[str]]:
        """The message's priority step, and the lists whose tasks go before it; the last is its own."""
        step = self.priority(self._get_message_priority(message, reverse=False))
        return step, [self._q_for_pri(queue, before) for before in self.priority_steps if before <= step]

    def _draft(self: Any, request: PlacementRequest | None, queue: str, message: dict[str, Any]) -> Draft:
        if request is None or queue in self._expires:
            return partial(super()._put, queue, message)  # type: ignore[misc]
        step, ahead = self._step_and_ahead(queue, message)
        return Letter(request, queue, tuple(ahead), step, dumps(message))

    def _put_fanout(
        self: Any, exchange: str, message: dict[str, Any], routing_key: str, **kwargs: Any
    ) -> None:
        _, drafts, message = _split(message)
        put = partial(super()._put_fanout, exchange, message, routing_key)  # type: ignore[misc]
        if drafts is not None:
            drafts.append(put)
        else:
            put(**kwargs)

    def create_publish_batch(self: Any, max_size: int) -> PublishBatch:
        """A batch that places what it is given."""
        return PublishBatch(self, max_size, self.cluster_state)

    # -- claiming -------------------------------------------------------------------------------------

    def claim_for(self: Any, claimant: Claimant) -> None:
        """From now on this channel claims for a node, instead of popping from the lists."""
        self.claimant = claimant
        claimant.connected()

    def stop_claiming(self: Any) -> None:
        """Claim nothing more; what a reply still brings goes back at once."""
        claimant = self.claimant
        if claimant is None:
            return
        claimant.stopped = True
        if self._in_poll and claimant.awaits_claims:
            self._deliver_none(claimant.read(self.client.connection))

    def _brpop_start(self: Any, timeout: float | None = None) -> None:
        if self.claimant is None:
            super()._brpop_start(timeout)  # type: ignore[misc]
            return
        queues = tuple(self._queue_cycle.consume(len(self.active_queues)))
        if not queues:
            return
        self._in_poll = self.client.connection
        self._brpop_sent_at = time.monotonic()
        self.claimant.start(self._in_poll, self._sources_of(queues), self.qos.can_consume_max_estimate())

    def _brpop_read(self: Any, **options: Any) -> bool:
        # A reply may still be due to what kombu sent before this channel was the node's (Mingle does).
        if self.claimant is None or not self.claimant.awaiting:
            return bool(super()._brpop_read(**options))  # type: ignore[misc]
        connection = self.client.connection
        try:
            claims = self.claimant.read(connection)
        except self.connection_errors:
            connection.disconnect()
            raise
        finally:
            if not self.claimant.awaiting:
                self._in_poll = None
                self._flush_brpop_reauth()
        if not claims:
            raise Empty()
        self._deliver_all(claims)
        return True

    def _deliver_all(self: Any, claims: list[tuple[str, Claim]]) -> None:
        """Hand messages to the consumer; those it has not seen when it raises go back."""
        left = list(reversed(claims))
        try:
            while left:
                self._deliver_one(*left.pop())
        finally:
            self._deliver_none(left[::-1])

    def _deliver_one(self: Any, tag: str, claim: Claim) -> None:
        queue = self.cluster_state.keys.queue_of(claim.home)
        if queue not in self.connection._callbacks:
            self.claimant.release([tag])
            return
        try:
            payload = _payload(claim, tag)
            self.claimant.hold(tag, _measured_task(payload), queue)
            self._queue_cycle.rotate(queue)
            self.connection._deliver(payload, queue)
        except UnreadableMessage as exc:
            self.claimant.bury(tag, str(exc))

    def _deliver_none(self: Any, claims: list[tuple[str, Claim]]) -> None:
        if claims:
            self.claimant.release([tag for tag, _ in claims])

    def _sources_of(self: Any, queues: tuple[str, ...]) -> Sources:
        if self._sources is None or self._sources[0] != queues:
            lists = [
                (step, tuple(self.global_keyprefix + self._q_for_pri(queue, step) for queue in queues))
                for step in self.priority_steps
            ]
            fair = self.queue_order_strategy == "round_robin"
            self._sources = (queues, Sources(queues, tuple(lists), fair))
        sources: Sources = self._sources[1]
        return sources

    def after_settle(self: Any) -> None:
        """A slot came free: without an event loop nobody else would notice in time."""
        transport = self.connection
        if transport is not None and not transport.has_event_loop:
            self.flush()
            transport.cycle.wake()

    def flush(self: Any) -> None:
        """Settle what no claim took along. While one is under way the next can, without a wait."""
        if self.claimant is not None and not self.claimant.awaits_claims:
            self.claimant.flush()

    # -- the queues as Celery sees them ---------------------------------------------------------------

    def _size(self: Any, queue: str) -> int:
        """Tasks that wait: on the shared queue, on wait lists, in inboxes."""
        state: State = self.cluster_state
        return state.size([self._q_for_pri(queue, step) for step in self.priority_steps])

    def _has_queue(self: Any, queue: str, **kwargs: Any) -> bool:
        """Whether tasks wait anywhere for the queue: for kombu an empty queue does not exist."""
        return bool(super()._has_queue(queue, **kwargs)) or self._size(queue) > 0  # type: ignore[misc]

    def _purge(self: Any, queue: str) -> int:
        """Throw away what :meth:`_size` counts; claimed tasks run on."""
        state: State = self.cluster_state
        lists = [state.keys.shared(self._q_for_pri(queue, step)) for step in self.priority_steps]
        lists += [key for key in state.wait_lists() if state.keys.queue_of(key) == queue]
        return state.purge(lists)

    def close(self: Any) -> None:
        """Close the channel. Claims stay in Redis, also those of a reply that nobody will read."""
        if self.claimant is not None:
            self._in_poll = None
        super().close()  # type: ignore[misc]


class Channel(Placing, kombu_redis.Channel):
    """kombu's Redis channel, placing and claiming."""

    from_transport_options = (*kombu_redis.Channel.from_transport_options, "switchyard_namespace")


class SentinelChannel(Placing, kombu_redis.SentinelChannel):
    """kombu's Sentinel channel, placing and claiming."""

    from_transport_options = (*kombu_redis.SentinelChannel.from_transport_options, "switchyard_namespace")


class Transport(kombu_redis.Transport):
    """kombu's Redis transport with our channel."""

    Channel = Channel
    has_event_loop = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cycle: Any = Poller()

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        """Let Celery's event loop drive the channels."""
        self.has_event_loop = True
        super().register_with_event_loop(connection, loop)


class SentinelTransport(Transport):
    """The same behind Redis Sentinel."""

    default_port = 26379
    Channel = SentinelChannel


def _split(message: dict[str, Any]) -> tuple[PlacementRequest | None, list[Draft] | None, dict[str, Any]]:
    """The request for a placement, where to put drafts, and the message without both, with the time.

    The message itself stays as it is: a topic exchange puts it several times, a broken connection again.
    """
    own = message["properties"]
    request, drafts = own.get(PLACEMENT), own.get(DRAFTS)
    if request is None and drafts is None:
        return None, None, message
    properties = {name: value for name, value in own.items() if name not in _OURS}
    properties.setdefault("timestamp", time.time())  # AMQP's own property; the age that `queues` shows
    message = {**message, "properties": properties}
    return (request if isinstance(request, PlacementRequest) else None), drafts, message


def _payload(claim: Claim, tag: str) -> dict[str, Any]:
    """The message as kombu wrote it, with a delivery tag that names the claim."""
    try:
        payload: dict[str, Any] = loads(claim.message)
        payload["properties"]["delivery_tag"] = tag
    except (ValueError, TypeError, KeyError) as exc:
        raise UnreadableMessage(f"not a kombu message: {type(exc).__name__}: {exc}") from exc
    if isinstance(payload.get("headers"), dict):
        payload["headers"][DELIVERY] = {"count": claim.deaths + 1, "token": int(claim.receipt)}
    return redelivered(payload) if claim.deaths else payload


def _measured_task(payload: dict[str, Any]) -> str | None:
    headers = payload.get("headers") or {}
    return None if headers.get("eta") else headers.get("task")
