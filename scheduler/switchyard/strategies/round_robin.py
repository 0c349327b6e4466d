"""Each node in turn."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import ClassVar

from switchyard.models import Node, Task


class RoundRobin:
    """Nodes take turns in name order, per queue and producer process; the next one gets the task."""

    overflow: ClassVar[bool] = False

    def __init__(self) -> None:
        self._turns: dict[str, itertools.count[int]] = {}

    def rank(self, task: Task, nodes: Sequence[Node]) -> Sequence[Node]:
        """The node whose turn it is, then those after it."""
        turn = next(self._turns.setdefault(task.queue, itertools.count())) % len(nodes)
        return [*nodes[turn:], *nodes[:turn]]
