"""The broker's clock: the only one that two leaders agree on."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from redis import Redis


class ServerClock:
    """The server's time as last read, carried on by this machine's monotonic clock in between."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self.read()

    def read(self) -> None:
        """Ask the server. Half a round trip is the error at most, either way."""
        asked = time.monotonic()
        seconds, micros = self._client.time()
        answered = time.monotonic()
        self._ahead = int(seconds) + int(micros) / 1_000_000 - (asked + answered) / 2

    def now(self) -> datetime:
        """The time, in UTC."""
        return datetime.fromtimestamp(time.monotonic() + self._ahead, UTC)
