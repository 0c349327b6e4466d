"""kombu's connection with our transport behind it, in a pool or on its own.

The URL keeps its scheme and all that kombu reads from it: TLS, Sentinel, a list to fail over along. Setting
``broker_transport`` instead would lose that at the first failover.
"""

from __future__ import annotations

from typing import Any

from kombu import connection as kombu_connection
from kombu.transport import redis as kombu_redis

from switchyard.errors import UnsupportedBroker
from switchyard.transport.channel import SentinelTransport, Transport

_OURS: dict[Any, Any] = {
    kombu_redis.Transport: Transport,
    kombu_redis.SentinelTransport: SentinelTransport,
    Transport: Transport,
    SentinelTransport: SentinelTransport,
}


class _OurTransport:
    """Picks our transport where kombu would pick its own."""

    transport_cls: Any

    def get_transport_cls(self: Any) -> Any:
        """Our transport for Redis and Valkey. Raises UnsupportedBroker for any other."""
        stock = super().get_transport_cls()  # type: ignore[misc]
        if stock not in _OURS:
            raise UnsupportedBroker(
                f"Switchyard needs Redis or Valkey as the broker, not {self.transport_cls!r}; set broker_url "
                "to a redis://, rediss://, redis+socket:// or sentinel:// URL"
            )
        return _OURS[stock]


class PooledConnection(_OurTransport, kombu_connection.PooledConnection):
    """A connection that a pool lends out."""


class ConnectionPool(kombu_connection.ConnectionPool):
    """kombu's pool, filled with our connections."""

    def new(self) -> PooledConnection:
        """One more connection like the pool's own."""
        return PooledConnection(self, **dict(self.connection._info(resolve=False)))


class Connection(_OurTransport, kombu_connection.Connection):
    """A connection to the broker."""

    def Pool(self, limit: int | None = None, **kwargs: Any) -> ConnectionPool:
        """A pool of connections like this one."""
        return ConnectionPool(self, limit, **kwargs)
