"""kombu's connections, each with a transport of ours behind it."""

from __future__ import annotations

from typing import Any

import kombu

from switchyard.adapters.kombu_redis import connection as kombu_connection
from tests.integration.adapters.conftest import (
    Transport,
)
from tests.support.servers import Server


class Chosen(kombu_connection.Chooses):
    """Takes the transport above wherever kombu would take its own."""

    @staticmethod
    def choose(stock: Any) -> Any:
        """Ours."""
        return Transport


class Pooled(Chosen, kombu_connection.PooledConnection):
    """As a pool lends it out."""


class Pool(kombu_connection.ConnectionPool):
    """Full of them."""

    pooled = Pooled


class Connection(Chosen, kombu.Connection):
    """On its own."""


def test_a_transport_is_chosen_alone_in_a_pool_and_after_a_failover(clean_valkey: Server) -> None:
    """Broken if tasks go unplaced once a connection comes from a pool, or the first server is down."""
    with Connection(f"redis://127.0.0.1:1/0;{clean_valkey.url()}") as connection:
        assert type(connection.transport) is Transport
        connection.ensure_connection(max_retries=3, interval_start=0, interval_step=0)
        assert connection.connected
        assert type(connection.transport) is Transport
        pool = Pool(Connection(clean_valkey.url()), 2)
        with pool.acquire() as pooled:
            assert type(pooled.transport) is Transport
        pool.force_close_all()
