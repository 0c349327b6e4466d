"""The node with the most room for its size."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import ClassVar

from switchyard.models import Node, Task

#: Outstanding per slot is compared in steps this wide: nodes within a step are near-equals.
_NEAR = 0.05
#: Speed is compared in steps of 25 %: measured run times scatter by about that much.
_SPEED_STEP = 0.25
#: CPU is compared in steps of 10 %: one sample a second says no more.
_CPU_STEP = 10


class LeastLoad:
    """Least outstanding per slot, then measured speed, then CPU; a random pick among near-equals.

    A full node has more outstanding per slot than any with a free one, so it comes last.
    """

    overflow: ClassVar[bool] = True

    def rank(self, task: Task, nodes: Sequence[Node]) -> Sequence[Node]:
        """All nodes, the least loaded first."""
        return sorted(nodes, key=lambda node: (*_burden(task, node), random.random()))


def _burden(task: Task, node: Node) -> tuple[int, int, int]:
    runtime = node.load.runtimes.get(task.name, 0.0)
    return (
        round(node.outstanding / max(node.slots, 1) / _NEAR),
        _steps(runtime),
        int(node.load.cpu // _CPU_STEP),
    )


def _steps(runtime: float) -> int:
    """Run time on a scale where one step is SPEED_STEP slower; unknown counts as fast, to be measured."""
    steps = 0
    while runtime > 0.001 and steps < 100:
        runtime /= 1 + _SPEED_STEP
        steps += 1
    return steps
