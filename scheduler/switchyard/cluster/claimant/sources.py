"""Where a node claims from, and in which order."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sources:
    """Queues, and their lists by priority step, the most urgent first. ``fair`` takes turns among equals."""

    queues: tuple[str, ...]
    lists: tuple[tuple[int, tuple[str, ...]], ...]
    fair: bool

    def groups(self, waits: tuple[tuple[int, str], ...]) -> list[tuple[str, ...]]:
        """Groups of lists in the order to empty them: those of a priority, its wait lists first.

        ``waits`` are wait lists with their steps. A step that this node does not have counts as the next less
        urgent one, or as the last.
        """
        mine: dict[int, list[str]] = {step: [] for step, _ in self.lists}
        for at, wait in waits:
            mine[self._own_step(at)].append(wait)
        return [(*mine[step], *lists) for step, lists in self.lists]

    def _own_step(self, at: int) -> int:
        steps = [step for step, _ in self.lists]
        return next((step for step in steps if step >= at), steps[-1])
