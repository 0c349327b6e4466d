"""What travels with a message from the router to the transport, which knows the final queue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from switchyard.models import Intent, Node, Placement
from switchyard.placement.placer import Placer

#: Message property that carries the request to the transport, and header that keeps a caller's own
#: ``placement=`` with the task through its retries.
PLACEMENT = "placement"


@dataclass(frozen=True, slots=True)
class PlacementRequest:
    """Travels as a message property from router to transport, which knows the final queue."""

    intent: Intent
    placer: Placer

    def placement(self, queue: str, priority: int, read: Callable[[], list[Node]]) -> Placement:
        """The decision, once the queue is known."""
        return self.placer.placement(self.intent, queue, priority, read)
