"""What we use of redis-py beyond its promises, in whatever version is installed."""

from __future__ import annotations

import threading

import pytest
from redis import Redis
from redis.exceptions import ConnectionError, ResponseError

from switchyard.adapters.redis_client import (
    Dialer,
    connection_limit,
    next_message,
    own_connection,
    round_trip,
    send,
    send_all,
    set_connection_limit,
)
from tests.support.servers import Server


def test_a_round_trip_answers_or_raises_and_gives_the_connection_back(server: Server) -> None:
    """Broken if each command takes one more connection of the pool, or an error costs one."""
    client = server.client()
    set_connection_limit(client, 1)
    assert round_trip(client, "SET", "a", 7) == b"OK"
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        round_trip(client, "LPUSH", "a", 1)
    assert round_trip(client, "GET", "a") == b"7"
    client.close()


def test_a_round_trip_that_breaks_off_leaves_no_reply_behind(server: Server) -> None:
    """Broken if the next command reads the answer to one whose caller gave up."""
    client = Redis.from_url(server.url(), socket_timeout=0.05, retry_on_timeout=False)
    client.ping()
    with pytest.raises(Exception, match=r"[Tt]imed? ?out"):
        round_trip(client, "BLPOP", "nothing", 5)
    assert round_trip(client, "ECHO", "mine") == b"mine"
    client.close()


def test_a_limit_of_connections_holds_for_those_lent_at_the_same_time(server: Server) -> None:
    """Broken if threads that wait in a line for locks are refused a connection."""
    client = server.client()
    set_connection_limit(client, 1)
    assert connection_limit(client) == 1
    waiting = threading.Thread(target=round_trip, args=(client, "BLPOP", "bell", 10))
    waiting.start()
    other = server.client()
    while not any(each["cmd"] == "blpop" for each in other.client_list()):
        pass
    with pytest.raises(ConnectionError):
        round_trip(client, "PING")
    set_connection_limit(client, 2)
    assert round_trip(client, "PING") == b"PONG"
    other.rpush("bell", 1)
    waiting.join(10)
    client.close()
    other.close()


def test_a_connection_of_its_own_waits_no_longer_than_it_was_told(server: Server) -> None:
    """Broken if a silent server keeps the near cache's listener, or its silence ends the connection."""
    connection = own_connection(server.url(), connect_within=5, answers_within=0.05)
    send(connection, "CLIENT", "ID")
    me = connection.read_response()
    assert next_message(connection) is None
    send_all(connection, [("PING",), ("CLIENT", "ID")])
    assert next_message(connection) in (b"PONG", "PONG")
    assert next_message(connection) == me
    connection.disconnect()


def test_nothing_is_said_on_a_socket_but_what_its_caller_says(server: Server) -> None:
    """Broken if replies to a greeting of redis-py's own are taken for replies to the caller's commands."""
    dialer = Dialer(server.url())
    opened = dialer.dial(5)
    opened.socket.settimeout(5)
    opened.socket.sendall(b"PING\r\n")
    assert opened.socket.recv(100) == b"+PONG\r\n"
    opened.close()
    assert opened.socket.fileno() == -1


@pytest.mark.parametrize(
    ("url", "credentials", "database"),
    [
        ("redis://h", (), 0),
        ("redis://:secret@h/3", ("secret",), 3),
        ("rediss://me:s%40crt@h/0", ("me", "s@crt"), 0),
        ("unix://me:secret@/run/valkey.sock?db=2", ("me", "secret"), 2),
        ("redis://h?socket_timeout=99&retry_on_timeout=true", (), 0),
    ],
)
def test_a_url_says_how_to_be_let_in(url: str, credentials: tuple[str, ...], database: int) -> None:
    """Broken if the cache greets a server with another password than the user wrote."""
    dialer = Dialer(url)
    assert (dialer.credentials, dialer.database) == (credentials, database)
