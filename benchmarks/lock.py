"""What a lock that nobody else wants costs: acquire and release, beside redis-py's own ``Lock``.

Both take turns in this one process. Ours comes with a token, a line and a renewal in the background.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import switchyard
from benchmarks.figures import Figure, Target
from benchmarks.machines.bed import Bed
from benchmarks.sides import Side, turns
from switchyard.adapters.celery import app as celery_app

#: Locks that one side takes before it is the other's turn, and turns of each side in a round.
_TURN, _TURNS = 100, 10
#: Seconds; longer than a round, so that no renewal falls into it.
_TTL = 60

Make = Callable[[], AbstractContextManager[object]]


def lock(bed: Bed, rounds: int) -> list[Figure]:
    """Microseconds for one lock, acquired and released."""
    url = [bed.url(Side.OURS)]
    with _current(bed):
        return [
            _compare(bed, rounds, "lock, on the broker", lambda: switchyard.lock("benchmark", _TTL)),
            _compare(
                bed, rounds, "lock, servers=[url]", lambda: switchyard.lock("benchmark", _TTL, None, url)
            ),
        ]


def _compare(bed: Bed, rounds: int, name: str, ours: Make) -> Figure:
    make: dict[Side, Make] = {
        Side.STOCK: lambda: bed.clients[Side.STOCK].lock("benchmark", timeout=_TTL),
        Side.OURS: ours,
    }
    _round(make)  # connections and scripts
    return Figure(name, "us", tuple(_round(make) for _ in range(rounds)), Target(at_most=1.5))


def _round(make: dict[Side, Make]) -> dict[Side, float]:
    spent = dict.fromkeys(Side, 0.0)
    for turn in range(_TURNS):
        for side in turns(turn):
            began = time.perf_counter()
            for _ in range(_TURN):
                with make[side]():
                    pass
            spent[side] += time.perf_counter() - began
    return {side: seconds / _TURN / _TURNS * 1e6 for side, seconds in spent.items()}


@contextmanager
def _current(bed: Bed) -> Iterator[None]:
    before = celery_app.current()
    bed.apps[Side.OURS].set_current()
    yield
    before.set_current()
