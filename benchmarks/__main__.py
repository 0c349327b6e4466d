"""``python -m benchmarks``: measures both sides in turns and prints one table.

Exit code 0 if every target was met, 1 if not, 2 for wrong use.
"""

from __future__ import annotations

import argparse
import functools
import signal
import sys
import time
from collections.abc import Callable, Sequence

from benchmarks import report
from benchmarks.cache import cache
from benchmarks.consume import consume, network
from benchmarks.enqueue import batch, enqueue
from benchmarks.figures import Figure
from benchmarks.latency import latency
from benchmarks.lock import lock
from benchmarks.machines import bed as beds
from benchmarks.machines.bed import Bed
from benchmarks.memory import memory

Measure = Callable[[Bed, int], list[Figure]]
_NAMES = ("enqueue", "batch", "consume", "network", "latency", "memory", "lock", "cache")


def main(argv: Sequence[str] | None = None) -> int:
    """Run what was asked for."""
    wanted = _arguments(argv)
    measures = _measures(wanted.tasks)
    # SIGTERM alone would leave workers and the server behind.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    began = time.monotonic()
    with beds.made() as bed:
        print(report.machine(bed.server), flush=True)
        figures = [
            figure for name in wanted.only for figure in _announced(name, measures[name])(bed, wanted.rounds)
        ]
    print(f"{wanted.rounds} rounds, {time.monotonic() - began:.0f} s\n\n{report.table(figures)}")
    return 0 if all(figure.met() for figure in figures) else 1


def _measures(tasks: int) -> dict[str, Measure]:
    of_memory = functools.partial(memory, tasks=tasks)
    measures = (enqueue, batch, consume, network, latency, of_memory, lock, cache)
    return dict(zip(_NAMES, measures, strict=True))


def _announced(name: str, measure: Measure) -> Measure:
    print(f"{time.strftime('%H:%M:%S')} {name} ...", file=sys.stderr, flush=True)
    return measure


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only", nargs="+", choices=_NAMES, default=list(_NAMES), metavar="NAME", help=", ".join(_NAMES)
    )
    parser.add_argument("--rounds", type=int, default=5, help="pairs of samples for each measure")
    parser.add_argument("--tasks", type=int, default=20_000, help="tasks of the memory measure")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
