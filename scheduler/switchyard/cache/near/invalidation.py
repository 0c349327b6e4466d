"""Keeps a near cache true: listens to what changes on each of the servers.

A server tells, by its client-side-caching messages, every key below a prefix that was written, deleted,
evicted, or ran out, whoever did it. The messages come in the order in which things happened, on one
connection per server, and the answer to a PING comes after them. So an answered PING vouches for the near
cache as it was when the PING was sent, and for ``STALE_S`` seconds longer. If one of the servers does not
answer, or its connection breaks, nobody knows what was missed: the near cache is emptied, and says nothing
until all of them are heard again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from typing import Any

from redis.exceptions import RedisError, TimeoutError

from switchyard.adapters.redis_client import Argument, RawConnection, next_message, own_connection, send
from switchyard.cache.near.memory import Near

logger = logging.getLogger(__name__)

#: Longest that a value may be served after it changed, in seconds: no message for so long, no trust.
STALE_S = 2.0
#: Between two PINGs, in seconds: a few may be late before trust ends.
PING_S = 0.5
#: Before a server that was lost is asked again, in seconds.
AGAIN_S = 0.5

#: Where a server sends these messages to a connection of protocol 2.
_CHANNEL = "__redis__:invalidate"
_NEVER = float("-inf")


class Invalidation:
    """Listens, a thread per server, until :meth:`close`.

    Keys below ``prefix`` are dropped from ``near``, where they are known without it. A change of a key that
    begins with ``all_of_them`` empties it: that is how a cache forgets everything at once.
    """

    def __init__(self, near: Near, urls: Sequence[str], prefix: str, all_of_them: str) -> None:
        self._near = near
        self._prefix = prefix.encode()
        self._prefixes = (prefix, all_of_them)
        self._vouched = dict.fromkeys(urls, _NEVER)
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._threads = [
            threading.Thread(target=self._keep_listening, args=(url,), name="switchyard-near", daemon=True)
            for url in self._vouched
        ]

    def start(self) -> None:
        """Begin to listen; the near cache answers once all servers are heard."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop, and let the near cache forget everything."""
        self._closed.set()
        for thread in self._threads:
            thread.join(2 * STALE_S)

    def _keep_listening(self, url: str) -> None:
        heard = True
        while not self._closed.is_set():
            try:
                self._listen(url)
            except (RedisError, OSError) as exc:
                heard = heard or self._vouched[url] > _NEVER
                if heard:
                    logger.warning("The near cache is off until all cache servers are heard: %s.", exc)
                heard = False
            self._vouch(url, _NEVER)
            self._near.clear()
            self._closed.wait(AGAIN_S)

    def _listen(self, url: str) -> None:
        """Returns when closed. Raises what redis-py raises once the connection is lost or silent."""
        connection = _connect(url, self._prefixes)
        try:
            # What was read before it listened may have changed since.
            self._near.clear()
            self._follow(url, connection)
        finally:
            connection.disconnect()

    def _follow(self, url: str, connection: RawConnection) -> None:
        asked, answered = _NEVER, True
        while not self._closed.is_set():
            now = time.monotonic()
            if answered and now - asked >= PING_S:
                send(connection, "PING")
                asked, answered = now, False
            if not answered and now - asked > STALE_S:
                raise TimeoutError(f"no answer to a PING within {STALE_S} s")
            message = next_message(connection)
            if message and message[0] == b"pong":
                answered = True
                self._vouch(url, asked)
            elif message and message[0] == b"message":
                self._drop(message[2])

    def _drop(self, keys: list[bytes] | None) -> None:
        """Forget these, or everything: the server was flushed, or the cache cleared."""
        if keys is None or not all(key.startswith(self._prefix) for key in keys):
            self._near.clear()
        else:
            self._near.drop(key[len(self._prefix) :].decode(errors="replace") for key in keys)

    def _vouch(self, url: str, at: float) -> None:
        with self._lock:
            self._vouched[url] = at
            self._near.trust(min(self._vouched.values()) + STALE_S)


def _connect(url: str, prefixes: Sequence[str]) -> RawConnection:
    """A connection that hears of changes below ``prefixes``, on its own message channel."""
    connection = own_connection(url, connect_within=STALE_S, answers_within=PING_S)
    try:
        me = _ask(connection, "CLIENT", "ID")
        below = [part for prefix in prefixes for part in ("PREFIX", prefix)]
        _ask(connection, "CLIENT", "TRACKING", "ON", "REDIRECT", me, "BCAST", *below)
        _ask(connection, "SUBSCRIBE", _CHANNEL)
    except BaseException:
        connection.disconnect()
        raise
    return connection


def _ask(connection: RawConnection, *command: Argument) -> Any:
    send(connection, *command)
    return connection.read_response()
