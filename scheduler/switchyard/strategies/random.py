"""A draw per task: the textbook's baseline."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import ClassVar

from switchyard.models import Node, Task


class Random:
    """Every node is as likely as any other, however busy it is; the drawn node gets the task."""

    overflow: ClassVar[bool] = False

    def rank(self, task: Task, nodes: Sequence[Node]) -> Sequence[Node]:
        """All nodes in random order."""
        return random.sample(nodes, len(nodes))
