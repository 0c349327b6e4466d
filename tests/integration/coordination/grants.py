"""What the tests of this folder share."""

from __future__ import annotations

from tests.support.servers import Server

GRANT = "{switchyard}:grant:lock:x"


def holders(*among: Server) -> int:
    """How many of these servers have granted the lock to somebody."""
    return sum(int(server.client().exists(GRANT)) for server in among)
