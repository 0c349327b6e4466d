"""Gives back what lost nodes had, a part at each heartbeat."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection

from switchyard.cluster.state import State
from switchyard.settings import Settings
from switchyard_workers.apart import apart

logger = logging.getLogger(__name__)


class Reaper:
    """One process's part in it. ``restored`` is called when there may be more to claim."""

    def __init__(
        self, state: State, settings: Settings, name: str, incarnation: str, restored: Callable[[], None]
    ) -> None:
        self._state = state
        self._settings = settings
        self._name = name
        self._incarnation = incarnation
        self._restored = restored

    def reap(self, names: Collection[str]) -> bool:
        """Reap for half of the time between two heartbeats; whether to go on after the next, at once."""
        until = time.monotonic() + self._settings.renew / 2
        for name in names:
            if (left := until - time.monotonic()) <= 0:
                return True
            apart(self._name, f"reap node {name}", self._reap_one, name, left)
        return False

    def _reap_one(self, name: str, seconds: float) -> None:
        limit = self._settings.max_deliveries
        reaped = self._state.reap(name, limit, reaper=self._incarnation, seconds=seconds)
        if reaped.restored or reaped.given_up or not (reaped.alive or reaped.more):
            text = "Node %s is lost: %d tasks given back to their queues, %d given up%s."
            more = ", more to come" if reaped.more else ""
            logger.warning(text, name, reaped.restored, reaped.given_up, more)
            self._restored()
