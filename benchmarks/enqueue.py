"""How fast one producer publishes: task by task, and in kombu's batches.

Both applications publish from this one process, in turns of a few tens of milliseconds, so that noise of the
machine hits both. Nodes are registered without a process behind them: they place and are placed on like any
other, and nobody consumes what is being measured.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from celery import Celery

from benchmarks.figures import Figure, Target
from benchmarks.machines.bed import QUEUE, Bed
from benchmarks.sides import Side, turns
from switchyard.cluster.keys import Keys
from switchyard.cluster.state import State

#: Tasks that one side publishes before it is the other's turn.
_TURN = 100
#: Turns of each side in a round.
_TURNS = 12
#: Longer than any run, in ms, because nobody renews these leases.
_LEASE_MS = 3_600_000
_NODES = 3
#: A node that a whole round cannot fill.
_ROOM = 1_000_000
#: Messages to a pipeline, as kombu's own default has it.
_BATCH = 100

Publish = Callable[[Celery, int], None]


def enqueue(bed: Bed, rounds: int) -> list[Figure]:
    """Rates of ``apply_async``, by what the cluster looks like."""
    return [
        _compare(bed, rounds, "enqueue, 3 nodes with room", _one_by_one, _NODES, _ROOM),
        _compare(bed, rounds, "enqueue, 3 nodes, all full", _one_by_one, _NODES, 0),
        _compare(bed, rounds, "enqueue, no node up", _one_by_one, 0, 0),
    ]


def batch(bed: Bed, rounds: int) -> list[Figure]:
    """Rates of ``apply_async`` inside ``Producer.batch``."""
    return [
        _compare(bed, rounds, "Producer.batch, 3 nodes with room", _in_batches, _NODES, _ROOM),
        _compare(bed, rounds, "Producer.batch, no node up", _in_batches, 0, 0),
    ]


def _compare(bed: Bed, rounds: int, name: str, publish: Publish, nodes: int, limit: int) -> Figure:
    with _nodes(bed, nodes, limit):
        _round(bed, publish)  # connections, scripts and caches
        pairs = tuple(_round(bed, publish) for _ in range(rounds))
    return Figure(name, "tasks/s", pairs, Target(at_least=1.0))


def _round(bed: Bed, publish: Publish) -> dict[Side, float]:
    spent = dict.fromkeys(Side, 0.0)
    for turn in range(_TURNS):
        for side in turns(turn):
            began = time.perf_counter()
            publish(bed.apps[side], _TURN)
            spent[side] += time.perf_counter() - began
            _forget(bed, side)
    return {side: _TURN * _TURNS / seconds for side, seconds in spent.items()}


def _one_by_one(app: Celery, tasks: int) -> None:
    noop = app.tasks["noop"]
    for _ in range(tasks):
        noop.apply_async()


def _in_batches(app: Celery, tasks: int) -> None:
    noop = app.tasks["noop"]
    with app.producer_or_acquire() as producer, producer.batch(_BATCH):
        for _ in range(tasks):
            noop.apply_async(producer=producer)


def _forget(bed: Bed, side: Side) -> None:
    inboxes = [Keys().inbox(_name(number)) for number in range(_NODES)]
    bed.clients[side].delete(QUEUE, *inboxes)


@contextmanager
def _nodes(bed: Bed, count: int, limit: int) -> Iterator[None]:
    bed.clear()
    state = State(bed.clients[Side.OURS], Keys())
    for number in range(count):
        state.register(_name(number), "benchmark", _LEASE_MS, [QUEUE], _fields(limit))
    # The snapshot of the run before this one is out of date.
    time.sleep(bed.apps[Side.OURS].switchyard.settings.refresh)
    yield
    bed.clear()


def _fields(limit: int) -> dict[str, str | int]:
    return {"slots": 4, "limit": limit, "queues": json.dumps([QUEUE]), "labels": "{}", "lease": _LEASE_MS}


def _name(number: int) -> str:
    return f"benchmark-{number}"
