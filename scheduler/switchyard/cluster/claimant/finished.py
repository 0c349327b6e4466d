"""What a node counts of the tasks that it is done with, for its heartbeat to tell."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

#: Task names that run times are kept for; beyond it new names are not measured.
NAMES_MAX = 200
#: Weight of the newest run time in the moving mean: about the last ten tasks count.
_NEWEST = 0.1


@dataclass(slots=True)
class Finished:
    """Counts since the start: all tasks, those of each queue, and the mean seconds of each task name."""

    count: int = 0
    by_queue: Counter[str] = field(default_factory=Counter)
    runtimes: dict[str, float] = field(default_factory=dict)

    def add(self, queue: str, task: str | None, seconds: float) -> None:
        """A task of this queue is done. ``task`` names it if its run time shall count."""
        self.count += 1
        self.by_queue[queue] += 1
        if task is not None:
            self._measure(task, seconds)

    def _measure(self, task: str, seconds: float) -> None:
        mean = self.runtimes.get(task)
        if mean is not None:
            self.runtimes[task] = mean + _NEWEST * (seconds - mean)
        elif len(self.runtimes) < NAMES_MAX:
            self.runtimes[task] = seconds
