"""The interface of a strategy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from switchyard.models import Node, Task


class Strategy(Protocol):
    """Ranks nodes for one task: no I/O, no Celery, no Redis.

    An instance lives as long as its process and may be called by several threads at once. A class may have
    an attribute ``overflow``: whether a task stays on the shared queue when the ranked nodes are full. It is
    True where there is none; a rule or a call may say otherwise.
    """

    def rank(self, task: Task, nodes: Sequence[Node]) -> Sequence[Node]:
        """The nodes to try, best first, of ``nodes`` that may run the task: in name order, never none."""
        ...
