"""redis-py, from 5.0 on: what we use of its connections and clients that it does not promise."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import redis
from redis import ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.exceptions import ResponseError, TimeoutError
from redis.retry import Retry

#: What a command is made of.
Argument = str | bytes | int | float

#: Before 5.3 a pool wanted to hear what its connection is for; it lent the same one whatever it heard.
LENDS_FOR = () if tuple(map(int, redis.__version__.split(".")[:2])) >= (5, 3) else ("any command",)


class RawConnection(Protocol):
    """One connection to a server, with redis-py's own sending and parsing; errors are redis-py's."""

    def pack_command(self, *command: Argument) -> list[bytes]:
        """One command as it goes over the wire."""

    def pack_commands(self, commands: Iterable[tuple[Argument, ...]]) -> list[bytes]:
        """Several commands as they go over the wire."""

    def send_packed_command(self, command: list[bytes], check_health: bool = True) -> None:
        """Send what was packed, and perhaps a PING before it; connects first if there is no connection."""

    def read_response(self, *, disconnect_on_error: bool = True) -> Any:
        """The next reply, waited for as long as the connection's timeout. Raises what the server says."""

    def can_read(self, timeout: float = 0) -> bool:
        """Whether a reply, or a part of one, comes within so many seconds."""

    def connect(self) -> None:
        """Connect, unless it is connected."""

    def disconnect(self) -> None:
        """Close it."""


def round_trip(client: Redis, *command: Argument) -> Any:
    """The reply to one command, as the server sent it. Raises redis-py's errors.

    redis-py's own way from a command to its reply costs half as much again as the round trip.
    """
    pool: Any = client.connection_pool
    connection: RawConnection = pool.get_connection(*LENDS_FOR)
    try:
        connection.send_packed_command(connection.pack_command(*command))
        return connection.read_response()
    except ResponseError:
        raise
    except BaseException:
        connection.disconnect()  # a reply may still be under way
        raise
    finally:
        pool.release(connection)


def connection_limit(client: Redis) -> int:
    """How many connections a client's pool lends at a time; whoever comes then is refused."""
    limit: int = client.connection_pool.max_connections
    return limit


def set_connection_limit(client: Redis, limit: int) -> None:
    """Let a client's pool lend so many connections at a time."""
    client.connection_pool.max_connections = limit


def own_connection(url: str, *, connect_within: float, answers_within: float) -> RawConnection:
    """A connection of protocol 2 that no pool lends to others; its waits are in seconds, nothing is retried.

    Raises redis-py's errors if there is none to be had.
    """
    client = Redis.from_url(
        url,
        protocol=2,
        socket_timeout=answers_within,
        socket_connect_timeout=connect_within,
        retry=Retry(NoBackoff(), 0),
    )
    connection: RawConnection = client.connection_pool.make_connection()
    connection.connect()
    return connection


def send(connection: RawConnection, *command: Argument) -> None:
    """Send one command, and no PING before it."""
    connection.send_packed_command(connection.pack_command(*command), check_health=False)


def send_all(connection: RawConnection, commands: Iterable[tuple[Argument, ...]]) -> None:
    """Send several commands at once."""
    connection.send_packed_command(connection.pack_commands(commands))


def next_message(connection: RawConnection) -> Any:
    """What the server says next; None, and the connection goes on, if that takes longer than its timeout."""
    try:
        return connection.read_response(disconnect_on_error=False)
    except TimeoutError:
        return None


@dataclass(frozen=True, slots=True)
class OpenSocket:
    """A socket that redis-py connected, with TLS or without, and how to close it."""

    socket: socket.socket
    close: Callable[[], None]


class Dialer:
    """Connects to the server of a URL, and lets the caller say all that goes over the connection."""

    def __init__(self, url: str) -> None:
        pool = ConnectionPool.from_url(url, protocol=2)
        self._kind: Any = pool.connection_class
        # What a URL says of timeouts and retries would break the caller's deadline.
        self._options: dict[str, Any] = pool.connection_kwargs | {
            "retry": Retry(NoBackoff(), 0),
            "redis_connect_func": lambda connection: None,  # redis-py says nothing of its own
        }

    @property
    def credentials(self) -> tuple[str, ...]:
        """What AUTH wants: nothing, a password, or a user and a password."""
        return tuple(self._options[name] for name in ("username", "password") if self._options.get(name))

    @property
    def database(self) -> int:
        """Which of the server's databases is meant."""
        return int(self._options.get("db") or 0)

    def dial(self, timeout: float) -> OpenSocket:
        """Connect; TCP and then TLS take ``timeout`` seconds each at most. Raises RedisError or OSError."""
        timeouts = {"socket_timeout": timeout, "socket_connect_timeout": timeout}
        connection = self._kind(**self._options | timeouts)
        connection.connect()
        return OpenSocket(_socket_of(connection), connection.disconnect)


def _socket_of(connection: Any) -> socket.socket:
    """Since 7 there is a method for it."""
    found: socket.socket = (
        connection._get_socket() if hasattr(connection, "_get_socket") else connection._sock
    )
    return found


def learn_layout(client: RedisCluster) -> None:
    """Ask a Redis Cluster anew which node has which slots.

    Raises redis-py's errors, and IndexError where no node has any slot.
    """
    client.nodes_manager.initialize()
