"""How fast nodes are, from the run times of the tasks that several of them ran."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from statistics import fmean, geometric_mean

from switchyard.models import Node, NodeState


def speeds(nodes: Iterable[Node]) -> dict[str, float]:
    """How fast each node runs what others run as well: 2 is twice as fast as the mean of them.

    A node that has run nothing that another has is left out.
    """
    alive = [node for node in nodes if node.state is not NodeState.LOST]
    seconds: dict[str, list[float]] = defaultdict(list)
    for node in alive:
        for task, runtime in node.load.runtimes.items():
            if runtime > 0:
                seconds[task].append(runtime)
    means = {task: fmean(runtimes) for task, runtimes in seconds.items() if len(runtimes) > 1}
    ratios = {
        node.name: [
            means[task] / runtime
            for task, runtime in node.load.runtimes.items()
            if runtime > 0 and task in means
        ]
        for node in alive
    }
    return {name: round(geometric_mean(found), 2) for name, found in ratios.items() if found}
