"""The broker's clock: the only one that two leaders agree on."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from redis import Redis


class ServerClock:
    """The server's time as last read, carried on by this machine's monotonic clock in between."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._ahead = 0.0
        self.read()

    def read(self) -> float:
        """Ask the server; by how many seconds its clock was moved since the last time, beside this machine's.

        Half a round trip is the error at most, either way.
        """
        asked = time.monotonic()
        seconds, micros = self._client.time()
        answered = time.monotonic()
        before, self._ahead = self._ahead, int(seconds) + int(micros) / 1_000_000 - (asked + answered) / 2
        return self._ahead - before

    def now(self) -> datetime:
        """The time, in UTC."""
        return datetime.fromtimestamp(time.monotonic() + self._ahead, UTC)
