"""kombu's connection and its pool, with a say in which transport they use."""

from __future__ import annotations

from typing import Any

from kombu import connection as kombu_connection

#: A base that mypy looks through, as kombu has no types.
_Kombus: Any = object


class Chooses(_Kombus):
    """Mixed into kombu's connections."""

    def get_transport_cls(self) -> Any:
        """The transport to use, wherever kombu asks: at first, and when it fails over to another URL."""
        return self.choose(super().get_transport_cls())

    @staticmethod
    def choose(stock: Any) -> Any:
        """The transport to take where kombu would take ``stock``."""
        raise NotImplementedError


if hasattr(kombu_connection, "PooledConnection"):
    PooledConnection = kombu_connection.PooledConnection
else:  # before 5.5 a pool lends out plain connections

    class PooledConnection(kombu_connection.Connection):  # type: ignore[no-redef]
        """A connection that a pool lends out."""

        def __init__(self, pool: Any, **kwargs: Any) -> None:
            super().__init__(**kwargs)


class ConnectionPool(kombu_connection.ConnectionPool):
    """kombu's pool of connections of the class that a subclass names."""

    pooled: Any = PooledConnection

    def new(self) -> Any:
        """One more connection like the pool's own."""
        return self.pooled(self, **dict(self.connection._info(resolve=False)))
