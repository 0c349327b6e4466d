"""One of the things that a heartbeat leads to must not keep the others from it."""

from __future__ import annotations

import logging
from collections.abc import Callable

from switchyard.adapters.redis_refusals import TRY_LATER
from switchyard.errors import one_line

logger = logging.getLogger(__name__)


def apart(node: str, what: str, act: Callable[..., None], *args: object) -> None:
    """Do it, and log it if it fails. Raises what says that the server is to be asked again later."""
    try:
        act(*args)
    except TRY_LATER:
        raise
    except Exception as exc:
        reason = one_line(exc)
        logger.error("Node %s could not %s: %s. It goes on with the rest.", node, what, reason)
