"""kombu's connection with our transport behind it, in a pool or on its own.

The URL keeps its scheme and all that kombu reads from it: TLS, Sentinel, a list to fail over along. Setting
``broker_transport`` instead would lose that at the first failover. A broker that is neither Redis nor Valkey
gets kombu's own transport, and nothing of ours.
"""

from __future__ import annotations

from typing import Any

from kombu import connection as kombu_connection
from kombu.transport import memory as kombu_memory
from kombu.transport import redis as kombu_redis

from switchyard.adapters.kombu_redis import connection as adapter
from switchyard.transport.channel import SentinelTransport, Transport

_OURS: dict[Any, Any] = {
    kombu_redis.Transport: Transport,
    kombu_redis.SentinelTransport: SentinelTransport,
}


class _Ours(adapter.Chooses):
    @staticmethod
    def choose(stock: Any) -> Any:
        """Our transport for Redis and Valkey, and kombu's for everything else."""
        return _OURS.get(stock, stock)


class PooledConnection(_Ours, adapter.PooledConnection):
    """A connection that a pool lends out."""


class ConnectionPool(adapter.ConnectionPool):
    """kombu's pool, filled with our connections."""

    pooled = PooledConnection


class Connection(_Ours, kombu_connection.Connection):
    """A connection to the broker."""

    def Pool(self, limit: int | None = None, **kwargs: Any) -> ConnectionPool:
        """A pool of connections like this one."""
        return ConnectionPool(self, limit, **kwargs)

    @property
    def server(self) -> str:
        """The server that it leads to now, without credentials; for Sentinel, all sentinels."""
        leads_to_sentinels = issubclass(self.get_transport_cls(), SentinelTransport)
        return ";".join(self.alt) if leads_to_sentinels and self.alt else str(self.as_uri())

    def beside(self, **transport_options: Any) -> Connection:
        """Another connection to the very server that this one leads to, which does not fail over from it."""
        leads_to_sentinels = issubclass(self.get_transport_cls(), SentinelTransport)
        other: Connection = self.clone(
            transport_options={**self.transport_options, **transport_options},
            alternates=self.alt if leads_to_sentinels else [],
        )
        return other

    @property
    def reaches_ours(self) -> bool:
        """Whether its broker is one that we can work on: Redis or Valkey. No connection is made."""
        return self.get_transport_cls() in _OURS.values()

    @property
    def is_in_memory(self) -> bool:
        """Whether its broker is this process's own memory, so that nobody else can share it."""
        return issubclass(self.get_transport_cls(), kombu_memory.Transport)
