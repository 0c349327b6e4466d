"""One connection to a server. Nothing here waits past the moment that its caller names.

redis-py connects, with TLS or without. It gives each reply, and each part of one, a timeout of its own, so
what goes over the connection is sent and read here.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from hiredis import Reader, pack_command
from redis.exceptions import InvalidResponse, NoScriptError, RedisError, ResponseError

from switchyard.adapters.redis_client import Dialer, OpenSocket
from switchyard.cache.ring.operations import Command

#: Bytes that are read at once.
_PART = 32_768
#: Seconds that a wait takes even if it is too late: what has come already is read.
_SHORTEST = 0.001
_INCOMPLETE = object()


class Address:
    """Where a server is, and what it wants to hear first."""

    def __init__(self, url: str) -> None:
        self._dialer = Dialer(url)

    def greeting(self) -> list[Command]:
        """Commands that let us in; they go out with the first ones of the caller."""
        who, database = self._dialer.credentials, self._dialer.database
        commands: list[Command] = [("AUTH", *who)] if who else []
        if database:
            commands.append(("SELECT", database))
        return commands

    def connect(self, until: float) -> Link:
        """A new link. Raises RedisError or OSError."""
        # TCP and then TLS may each take all of its timeout.
        return Link(self._dialer.dial(_left(until) / 2))


class Link:
    """Sends commands and reads replies; closed by whatever goes wrong. ``until``: monotonic, in seconds."""

    def __init__(self, opened: OpenSocket) -> None:
        self._close = opened.close
        self._socket = opened.socket
        self._reader = Reader(protocolError=InvalidResponse, replyError=_error, notEnoughData=_INCOMPLETE)

    def send(self, commands: Iterable[Command], until: float) -> None:
        """Send commands. Raises OSError: TimeoutError or ConnectionError."""
        try:
            self._socket.settimeout(_left(until))
            self._socket.sendall(b"".join(map(_packed, commands)))
        except BaseException:
            self.close()
            raise

    def read(self, count: int, until: float) -> list[Any]:
        """So many replies. Raises OSError, or what the server answered as RedisError."""
        try:
            return [self._reply(until) for _ in range(count)]
        except BaseException:
            self.close()  # replies may still be under way
            raise

    def close(self) -> None:
        """End the connection."""
        self._close()

    def _reply(self, until: float) -> Any:
        while (reply := self._reader.gets()) is _INCOMPLETE:
            self._receive(until)
        if isinstance(reply, RedisError):
            raise reply
        return reply

    def _receive(self, until: float) -> None:
        if self._reader.has_data() and time.monotonic() > until:
            raise TimeoutError("the reply did not come in time")
        self._socket.settimeout(_left(until))
        part = self._socket.recv(_PART)
        if not part:
            raise ConnectionResetError("the server closed the connection")
        self._reader.feed(part)


def _packed(command: Command) -> bytes:
    packed: bytes = command if isinstance(command, bytes) else pack_command(command)
    return packed


def _left(until: float) -> float:
    return max(_SHORTEST, until - time.monotonic())


def _error(text: str) -> RedisError:
    return NoScriptError(text) if text.startswith("NOSCRIPT") else ResponseError(text)
