"""kombu's Redis transport with our place, claim and settle in it.

Only a message that carries a placement goes through **place**, and only the channel of a registered node
claims. Everything else, replies and events and other people's consumers, stays stock.
"""

from __future__ import annotations

from typing import cast

from redis import Redis

from switchyard.adapters.kombu_redis import channel as kombu_redis
from switchyard.adapters.kombu_redis.sides import RedisChannel
from switchyard.cluster.keys import Keys
from switchyard.cluster.state import State
from switchyard.models import ListNames
from switchyard.transport.claiming import Claiming
from switchyard.transport.placing import Placing


class ChannelState:
    """The cluster's state over a channel's connection pool, which the channel makes anew after a fork."""

    def __init__(self, channel: RedisChannel) -> None:
        self._channel = channel
        self._state: State | None = None

    def __call__(self) -> State:
        """The state; always the same one for the same pool."""
        pool = self._channel.pool
        if self._state is None or self._state.client.connection_pool is not pool:
            # Not the channel's own client: it may prefix keys, which ours carry already.
            channel = self._channel
            lists = ListNames(channel.sep, tuple(channel.priority_steps))
            keys = Keys(channel.switchyard_namespace, channel.global_keyprefix, lists)
            self._state = State(Redis(connection_pool=pool), keys)
        return self._state


class _Sides(kombu_redis.Hooks):
    publishing: Placing
    consuming: Claiming

    def sides(self) -> tuple[Placing, Claiming]:
        """Placing and claiming, on one state of the cluster."""
        channel = cast(RedisChannel, self)
        state = ChannelState(channel)
        return Placing(channel, state), Claiming(channel, state)

    @property
    def cluster_state(self) -> State:
        """The cluster's state over this channel's connection pool."""
        return self.publishing.state()


class Channel(_Sides, kombu_redis.Channel):
    """kombu's Redis channel, placing and claiming."""


class SentinelChannel(_Sides, kombu_redis.SentinelChannel):
    """kombu's Sentinel channel, placing and claiming."""


class Transport(kombu_redis.Transport):
    """kombu's Redis transport with our channel."""

    Channel = Channel


class SentinelTransport(Transport):
    """The same behind Redis Sentinel."""

    default_port = 26379
    Channel = SentinelChannel
