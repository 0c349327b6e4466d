"""Memory of a node's parent process: after many tasks, and how it grew on the way.

Both nodes run at the same time: speed does not matter here.
"""

from __future__ import annotations

import time
from contextlib import ExitStack

from benchmarks.figures import Figure, Target
from benchmarks.machines.bed import Bed
from benchmarks.machines.processes import Running, worker
from benchmarks.sides import Side
from tests.support.waiting import wait_until

#: Tasks that are put onto the queue at once; growth counts from the end of the first such portion.
PORTION = 5_000
#: Memory hardly scatters: more rounds than this say nothing new.
_ROUNDS = 2
#: The slowest rate, in tasks/s, that does not count as stuck.
_SLOWEST = 50
#: Time for the last tasks to settle and a heartbeat to pass, in seconds.
_SETTLE = 2.0


def memory(bed: Bed, rounds: int, tasks: int) -> list[Figure]:
    """Resident memory after ``tasks`` no-ops, rounded up to whole portions, and its growth."""
    portions = max(2, -(-tasks // PORTION))
    readings = [_round(bed, portions) for _ in range(min(rounds, _ROUNDS))]
    total = portions * PORTION
    after = tuple({side: end for side, (_, end) in reading.items()} for reading in readings)
    grown = tuple({side: end - start for side, (start, end) in reading.items()} for reading in readings)
    return [
        Figure(f"parent RSS after {total:,} tasks, prefork 2", "MB", after, Target(at_most=20, minus=True)),
        Figure(f"its growth from {PORTION:,} to {total:,} tasks", "MB", grown, Target(minus=True)),
    ]


def _round(bed: Bed, portions: int) -> dict[Side, tuple[float, float]]:
    bed.clear()
    with ExitStack() as stack:
        nodes = {side: stack.enter_context(worker(side, bed.url(side), "prefork", 2)) for side in Side}
        _work(bed, nodes, 1)
        start = {side: node.rss_mb() for side, node in nodes.items()}
        _work(bed, nodes, portions - 1)
        return {side: (start[side], node.rss_mb()) for side, node in nodes.items()}


def _work(bed: Bed, nodes: dict[Side, Running], portions: int) -> None:
    left = dict.fromkeys(nodes, portions)

    def worked_off() -> bool:
        empty = [side for side, node in nodes.items() if node.alive() and not bed.waiting(side)]
        for side in [side for side in empty if left[side]]:
            left[side] -= 1
            bed.fill(side, PORTION)
            empty.remove(side)
        return len(empty) == len(nodes)

    wait_until(worked_off, "both queues are empty", 60 + portions * PORTION / _SLOWEST, look=0.2)
    time.sleep(_SETTLE)
