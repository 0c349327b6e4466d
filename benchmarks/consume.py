"""How fast one node works through a queue of no-ops, and what that costs in processor time."""

from __future__ import annotations

import statistics
import time
import timeit
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import redis

from benchmarks.figures import Figure, Target
from benchmarks.machines.bed import Bed
from benchmarks.machines.processes import Running, running, worker
from benchmarks.sides import Side, turns
from tests.support.waiting import wait_until

#: Tasks that wait when a worker starts: more than it can take in warm-up and window together.
_BACKLOG = 25_000
#: From the first task on, in seconds: imports, connections and the first heartbeats are behind it.
_WARM_UP = 1.0
#: Between two looks at what is left, in seconds: rare enough to take no processor time from what is measured.
_LOOK_S = 0.05
#: Length of the measured part, in seconds.
_WINDOW = 3.0
#: The window ends early when so little is left: the end of a queue is not steady.
_LEFT = _BACKLOG // 20
_STARTS_WITHIN = 60.0
#: One way through the proxy, in ms: 2 ms of round trip, as between zones of one region.
_ONE_WAY_MS = 1.0
_MICRO = 1e6
_PINGS = 100
#: Rates that the round trip sets hardly scatter: more rounds than this take time and say nothing new.
_NETWORK_ROUNDS = 3

_TARGETS = {"threads": Target(at_least=2.5), "prefork": Target(at_least=1.7)}
_POOLS = (("threads", 8), ("prefork", 2))


@dataclass(frozen=True, slots=True)
class _Drain:
    rate: float
    cpu_us: float


def consume(bed: Bed, rounds: int) -> list[Figure]:
    """Rates and cost on loopback."""
    return _figures(bed, rounds, bed.port, "consume")


def network(bed: Bed, rounds: int) -> list[Figure]:
    """The same rates with 2 ms of round trip between the node and the server."""
    with _proxied(bed.port) as port:
        name = f"consume at {_round_trip_ms(port):.1f} ms"
        figures = _figures(bed, min(rounds, _NETWORK_ROUNDS), port, name)
    return [figure for figure in figures if figure.unit == "tasks/s"]


def _figures(bed: Bed, rounds: int, port: int, name: str) -> list[Figure]:
    figures = []
    for pool, slots in _POOLS:
        pairs = [_pair(bed, turn, port, pool, slots) for turn in range(rounds)]
        rates = tuple({side: drain.rate for side, drain in pair.items()} for pair in pairs)
        costs = tuple({side: drain.cpu_us for side, drain in pair.items()} for pair in pairs)
        figures.append(Figure(f"{name}, {pool} {slots}", "tasks/s", rates, _TARGETS[pool]))
        figures.append(Figure(f"worker CPU, {pool} {slots}", "us/task", costs))
    bed.clear()
    return figures


def _pair(bed: Bed, turn: int, port: int, pool: str, slots: int) -> dict[Side, _Drain]:
    drains = {}
    for side in turns(turn):
        bed.clear()
        bed.fill(side, _BACKLOG)
        with worker(side, bed.url(side, port), pool, slots) as process:
            drains[side] = _measure(bed, side, process)
    return drains


def _measure(bed: Bed, side: Side, process: Running) -> _Drain:
    wait_until(lambda: process.alive() and bed.waiting(side) < _BACKLOG, "a first task", _STARTS_WITHIN)
    time.sleep(_WARM_UP)
    began, left, cpu = time.monotonic(), bed.waiting(side), process.cpu_seconds()
    wait_until(
        lambda: time.monotonic() - began > _WINDOW or bed.waiting(side) < _LEFT,
        "the window's end",
        _WINDOW * 2,
        look=_LOOK_S,
    )
    took, done = time.monotonic() - began, left - bed.waiting(side)
    return _Drain(done / took, (process.cpu_seconds() - cpu) / done * _MICRO)


def _round_trip_ms(port: int) -> float:
    """What the proxy really adds up to while nothing else goes through it."""
    with redis.Redis(port=port) as client:
        client.ping()
        return statistics.median(timeit.repeat(client.ping, number=1, repeat=_PINGS)) * 1000


@contextmanager
def _proxied(target: int) -> Iterator[int]:
    with running("benchmarks.machines.proxy", str(target), str(_ONE_WAY_MS)) as proxy:
        wait_until(lambda: proxy.alive() and "\n" in proxy.text(), "the proxy's port", _STARTS_WITHIN)
        yield int(proxy.text())
