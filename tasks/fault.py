"""The accident in the demo's last run: one node is killed in the middle, and its tasks come back."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass

from switchyard.cluster.state import State
from tasks.display import Display
from tasks.nodes import NodeProcess, require_alive

#: Share of the run that is done when the node is killed.
_MIDDLE = 1 / 3
#: Share at which it is killed even if it happens to hold no task: a small folder is over too soon.
_END = 0.95


@dataclass
class Accident:
    """Kills ``victim`` with SIGKILL, pool and all, in the middle of a run, and watches for its tasks."""

    display: Display
    state: State
    victim: NodeProcess
    survivors: Sequence[NodeProcess]
    files: int
    killed_at: float | None = None
    restored: bool = False

    def tick(self) -> None:
        """Look at the run, and act when it is time. Raises DemoFailed if another node ended."""
        require_alive(self.survivors)
        if self.killed_at is None:
            view = self.display.view()
            busy = view.nodes[self.victim.spec.name].outstanding > 0
            if view.total_done >= self.files * (_MIDDLE if busy else _END):
                self._kill()
        elif not self.restored:
            self._watch(time.monotonic() - self.killed_at)

    def _kill(self) -> None:
        name = self.victim.spec.name
        held = next(node.outstanding for node in self.state.snapshot() if node.name == name)
        os.killpg(self.victim.process.pid, signal.SIGKILL)
        self.killed_at = time.monotonic()
        self.display.console.print(f"Killed node {name} with SIGKILL; it had {held} tasks.", style="bold red")

    def _watch(self, seconds: float) -> None:
        name = self.victim.spec.name
        lost = [event for event in self.state.events(50) if event.node == name and event.kind == "lost"]
        if lost:
            self.restored = True
            self.display.console.print(
                f"Node {name} is lost: {lost[0].count} tasks are back on the queue after {seconds:.1f} s.",
                style="bold green",
                soft_wrap=True,
            )
