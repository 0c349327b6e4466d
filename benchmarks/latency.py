"""How long a task waits for an idle node: from before ``apply_async`` to the first line of the task."""

from __future__ import annotations

import random
import statistics
import time
from contextlib import ExitStack

from benchmarks.figures import Figure, Target
from benchmarks.machines.bed import Bed
from benchmarks.machines.processes import Running, worker
from benchmarks.sides import Side, turns

#: Tasks of each side in a round.
_TASKS = 200
#: Tasks before the first that counts: connections, imports, children of the pool.
_WARM_UP = 20
#: Longest pause between tasks, in seconds; a random part of it keeps out of step with every timer.
_PAUSE = 0.02
#: A task that has not started after this many seconds never will.
_STARTS_WITHIN = 60
_POOLS = (("threads", 8), ("prefork", 2))
_MILLI = 1000


def latency(bed: Bed, rounds: int) -> list[Figure]:
    """Median and 99th percentile, by pool. Both nodes are up, and a task goes to each in turn."""
    figures = []
    for pool, slots in _POOLS:
        bed.clear()
        with ExitStack() as stack:
            nodes = {side: stack.enter_context(worker(side, bed.url(side), pool, slots)) for side in Side}
            _round(bed, nodes, _WARM_UP)
            waits = [_round(bed, nodes, _TASKS) for _ in range(rounds)]
        figures += _figures(f"{pool} {slots}", waits)
    return figures


def _figures(pool: str, waits: list[dict[Side, list[float]]]) -> list[Figure]:
    half = tuple({side: statistics.median(each) for side, each in pair.items()} for pair in waits)
    most = tuple(
        {side: statistics.quantiles(each, n=100)[98] for side, each in pair.items()} for pair in waits
    )
    return [
        Figure(f"idle latency p50, {pool}", "ms", half, Target(at_most=1.0)),
        Figure(f"idle latency p99, {pool}", "ms", most),
    ]


def _round(bed: Bed, nodes: dict[Side, Running], tasks: int) -> dict[Side, list[float]]:
    waits: dict[Side, list[float]] = {side: [] for side in Side}
    for turn in range(tasks):
        for side in turns(turn):
            waits[side].append(_wait_of_one(bed, side, nodes[side]))
            time.sleep(random.uniform(_PAUSE / 4, _PAUSE))
    return waits


def _wait_of_one(bed: Bed, side: Side, node: Running) -> float:
    published = time.monotonic()
    bed.apps[side].tasks["stamp"].apply_async((side.value,))
    answer = bed.ledger.blpop([side.value], timeout=_STARTS_WITHIN)
    if answer is None:
        raise TimeoutError(f"a task did not start on {side} within {_STARTS_WITHIN} s:\n{node.text()}")
    return (float(answer[1]) - published) * _MILLI
