"""What a producer knows of the nodes: a snapshot at most ``refresh`` old, which its placements keep fresh.

There is no lock in it, since one would be held while the network is asked: a connection that says nothing
would stop every thread, and a fork would copy it held. What threads do at the same time costs a second read
or a count at worst, and place looks again before it commits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from switchyard.models import Node, NodeState, Placed, Selector

#: Seconds after which whoever reads the nodes is not waited for any more: the thread is stuck, or was another
#: process's before a fork.
READ_PATIENCE_S = 10.0


class Cluster:
    """The nodes as one process sees them, ``refresh`` seconds old at most while they can be read.

    Threads and forked children may share it; nobody waits for another.
    """

    def __init__(self, refresh: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._refresh = refresh
        self._clock = clock
        self._read_at = float("-inf")
        self._reading_since = float("-inf")
        self._nodes: dict[str, Node] = {}

    def refresh(self, read: Callable[[], list[Node]]) -> None:
        """Read the nodes again if the snapshot is too old: one round trip per ``refresh``, not per task.

        While one thread reads, the others go on with what is known. Raises what ``read`` raises.
        """
        now = self._clock()
        if now - self._read_at < self._refresh or now - self._reading_since < READ_PATIENCE_S:
            return
        self._reading_since = now
        try:
            nodes = {node.name: node for node in read() if node.state is NodeState.UP}
        finally:
            self._reading_since = float("-inf")
        self._nodes = dict(sorted(nodes.items()))
        self._read_at = self._clock()

    def serving(self, queue: str, selector: Selector) -> list[Node]:
        """Nodes that may run a task of this queue, in name order."""
        nodes = [node for node in self._nodes.values() if queue in node.queues]
        if not selector:
            return nodes
        return [node for node in nodes if selector.allows(node.name, node.labels)]

    def learn(self, placed: Placed) -> None:
        """Take a placement's own reply into the snapshot: a busy producer stays up to date for free."""
        nodes = self._nodes
        node = nodes.get(placed.node or "")
        if node is not None:
            nodes[node.name] = replace(node, inbox=0, claims=placed.outstanding)

    def expect(self, names: Sequence[str]) -> None:
        """Reserve room for a placement that is on its way in a batch and answers later."""
        nodes = self._nodes
        for name in names:
            node = nodes.get(name)
            if node is not None:
                nodes[name] = replace(node, claims=node.claims + 1)
