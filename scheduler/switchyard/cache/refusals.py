"""Says once of each server that it refuses writes, though it may answer whoever only reads."""

from __future__ import annotations

import logging
import re
from typing import Any

from redis.exceptions import NoPermissionError, OutOfMemoryError, ReadOnlyError, ResponseError

from switchyard.forking import free_after_fork

logger = logging.getLogger(__name__)

#: What servers call it when they take no writes: full, a replica, no disk, no replicas, not allowed. Older
#: ones say it behind the name of a script.
_CODE = re.compile(r"\b(OOM|READONLY|MISCONF|NOREPLICAS|NOPERM)\b")
#: redis-py's own parser makes classes of some of these, and takes the code from their text.
_CLASSES = (OutOfMemoryError, ReadOnlyError, NoPermissionError)


def is_refusal(reply: Any) -> bool:
    """Whether what a server answered is an error that says that it takes no writes."""
    return isinstance(reply, _CLASSES) or (
        isinstance(reply, ResponseError) and _CODE.search(str(reply)) is not None
    )


class Refusals:
    """Servers that refused a write and took none since."""

    def __init__(self) -> None:
        self._lock = free_after_fork()
        self._servers: set[str] = set()

    def refused(self, server: str, exc: Exception) -> None:
        """A server refused a write; logged unless it did so before."""
        with self._lock:
            known = server in self._servers
            self._servers.add(server)
        if not known:
            logger.warning("cache %s refuses writes: %s; mend that server", server, exc)

    def taken(self, server: str) -> None:
        """A server took a write."""
        if not self._servers:
            return
        with self._lock:
            if server not in self._servers:
                return
            self._servers.discard(server)
        logger.info("cache %s takes writes again", server)
