"""What a producer knows of the nodes: a snapshot at most ``refresh`` old, which its placements keep fresh."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from switchyard.models import Node, NodeState, Placed, Selector


class Cluster:
    """The nodes as one process sees them. Threads may share it."""

    def __init__(self, refresh: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._refresh = refresh
        self._clock = clock
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._nodes: dict[str, Node] = {}

    def refresh(self, read: Callable[[], list[Node]]) -> None:
        """Read the nodes again if the snapshot is too old: one round trip per ``refresh``, not per task."""
        with self._lock:
            if self._clock() - self._read_at < self._refresh:
                return
            nodes = {node.name: node for node in read() if node.state is NodeState.UP}
            self._nodes = dict(sorted(nodes.items()))
            self._read_at = self._clock()

    def serving(self, queue: str, selector: Selector) -> list[Node]:
        """Nodes that may run a task of this queue, in name order."""
        nodes = [node for node in self._nodes.values() if queue in node.queues]
        if not selector:
            return nodes
        return [node for node in nodes if selector.allows(node.name, node.labels)]

    def note(self, placed: Placed) -> None:
        """Take a placement's own reply into the snapshot: a busy producer stays up to date for free."""
        with self._lock:
            node = self._nodes.get(placed.node or "")
            if node is not None:
                self._nodes[node.name] = replace(node, inbox=0, claims=placed.outstanding)

    def expect(self, names: Sequence[str]) -> None:
        """Reserve room for a placement that is on its way in a batch and answers later."""
        with self._lock:
            for name in names:
                node = self._nodes.get(name)
                if node is not None:
                    self._nodes[name] = replace(node, claims=node.claims + 1)
