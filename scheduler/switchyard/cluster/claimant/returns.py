"""Claims that leave the node unsettled, until the server was told: given back, given up or set aside."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Return:
    """Delivery tags, and the operation that takes their claims away from the node."""

    tags: tuple[str, ...]
    operation: Callable[[], object]


class Returns:
    """A queue of them. Any thread or greenlet may add to it; who empties it, does so alone."""

    def __init__(self) -> None:
        self._waiting: deque[Return] = deque()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def __len__(self) -> int:
        """Of how many claims the server may not know it yet."""
        return len(self.tags())

    def tags(self) -> set[str]:
        """Claims of which the server may not know it yet. Any thread may ask."""
        return {tag for returned in self._waiting.copy() for tag in returned.tags}

    def add(self, *tags: str, operation: Callable[[], object]) -> None:
        """One more."""
        self._waiting.append(Return(tags, operation))

    def send_next(self) -> None:
        """Run the oldest operation. It stays the oldest until it has run, and is the next if it raises."""
        self._waiting[0].operation()
        self._waiting.popleft()
