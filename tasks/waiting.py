"""Waiting for a condition with a deadline, and the one error that ends the demo."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

#: Between two looks at a condition, in seconds: often enough for a display that moves.
_LOOK = 0.2


class DemoFailed(Exception):
    """The demo cannot go on; the message says why and what to look at."""


def holds_within(
    timeout: float, condition: Callable[[], object], tick: Callable[[], object] = lambda: None
) -> bool:
    """Whether ``condition`` comes true within ``timeout`` seconds; ``tick`` runs after each vain look."""
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            return False
        tick()
        pause.wait(_LOOK)
    return True
