"""How a Celery worker's consumer comes back after an error of its connection. Versions: Celery 5.4 to 5.7."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from switchyard.adapters.celery.consumer import Consumer
from switchyard.adapters.redis_refusals import RefusedForNow

#: Seconds before the consumer starts anew on a server that takes nothing for now. Celery would do it at once.
PAUSE_S = 1.0
_HOOKS = ("on_connection_error_before_connected", "on_connection_error_after_connected")


def pause_after_refusals(consumer: Consumer) -> None:
    """Let the consumer wait before it connects again to a server that answers, but refuses for now."""
    for hook in _HOOKS:
        setattr(consumer, hook, _pausing(getattr(consumer, hook)))


def _pausing(celerys: Callable[[Exception], Any]) -> Callable[[Exception], Any]:
    def on_connection_error(exc: Exception) -> Any:
        if isinstance(exc, RefusedForNow):
            time.sleep(PAUSE_S)
        return celerys(exc)

    return on_connection_error
