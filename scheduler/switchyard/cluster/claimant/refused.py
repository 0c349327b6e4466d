"""What a node does when its server refuses claims and settlements for a while: it keeps them, and waits."""

from __future__ import annotations

import logging
from collections.abc import Callable

from switchyard.adapters.redis_refusals import RefusedForNow

_log = logging.getLogger(__name__)


class Refused:
    """Whether a server refused what was asked of it last. It is asked again after ``pause`` seconds."""

    def __init__(self, node: str, pause: float, clock: Callable[[], float]) -> None:
        self._node = node
        self._pause = pause
        self._clock = clock
        self._until: float | None = None

    @property
    def may_ask(self) -> bool:
        """Whether the server is to be asked now."""
        return self._until is None or self._clock() >= self._until

    def refused(self, why: RefusedForNow) -> None:
        """The server refused; logged unless it did so before."""
        if self._until is None:
            text = "The server refuses what node %s asks: %s. It keeps what it has, and tries again."
            _log.warning(text, self._node, why)
        self._until = self._clock() + self._pause

    def taken(self) -> None:
        """The server took what it was asked."""
        if self._until is not None:
            self._until = None
            _log.warning("The server takes what node %s asks again.", self._node)
