"""Says once of each server that it refuses what it is told, though it may answer whoever only reads."""

from __future__ import annotations

import logging

from scheduler.caching.forking import free_after_fork

logger = logging.getLogger(__name__)


class Refusals:
    """Servers that refused something (out of memory, read only, no permission) and took no write since."""

    def __init__(self) -> None:
        self._lock = free_after_fork()
        self._servers: set[str] = set()

    def refused(self, server: str, exc: Exception) -> None:
        """A server answered with an error; logged unless it did so before."""
        with self._lock:
            known = server in self._servers
            self._servers.add(server)
        if not known:
            logger.warning("cache %s refuses what it is told: %s; mend that server", server, exc)

    def taken(self, server: str) -> None:
        """A server took a write."""
        if not self._servers:
            return
        with self._lock:
            if server not in self._servers:
                return
            self._servers.discard(server)
        logger.info("cache %s takes writes again", server)
