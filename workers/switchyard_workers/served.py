"""Which queues a node has served, so that it knows those that it left."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection


class Served:
    """A producer may place by what it knew a moment ago: for ``patience`` s by what a node of this name did
    before this one, and for longer by what this one did, if it seldom looks."""

    def __init__(self, patience: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._ever: set[str] = set()
        self._clock = clock
        self._until = clock() + patience

    def may_have_left(self, queues: Collection[str]) -> bool:
        """Whether something may be placed for other queues than these, which the node serves now."""
        self._ever.update(queues)
        return bool(self.left(queues)) or self._clock() < self._until

    def left(self, queues: Collection[str]) -> set[str]:
        """Those that it served before, and does not now."""
        return self._ever.difference(queues)
