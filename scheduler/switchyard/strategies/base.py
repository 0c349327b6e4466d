"""The interface of a strategy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

from switchyard.models import Node, Task


class Strategy(Protocol):
    """Ranks nodes for one task: no I/O, no Celery, no Redis.

    An instance lives as long as its process and may be called by several threads at once.
    """

    #: Whether a task overflows to the shared queue when the ranked nodes are full (a rule may override it).
    overflow: ClassVar[bool] = True

    def rank(self, task: Task, nodes: Sequence[Node]) -> Sequence[Node]:
        """The nodes to try, best first, of ``nodes`` that may run the task: in name order, never none."""
        ...
