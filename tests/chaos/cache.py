"""``python -m tests.chaos.cache``: kills cache servers under load and says what their callers saw.

Exit code 0 if no call raised and the 99th percentile of all calls was under their deadline; 1 if not.
With ``--sequences``, runs so many random sequences of the model in tests/support/cache_machine.py instead.
"""

from __future__ import annotations

import multiprocessing
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import click

import switchyard
from switchyard.cache.store import Standing
from tests.chaos.machines.servers import Server
from tests.support.cache import machine as cache_machine
from tests.support.waiting import wait_until

#: Keys that callers ask for; the square of a random number picks, so some are asked for much more often.
_KEYS = 2_000
#: Keys that are set together before the callers are measured.
_AT_ONCE = 50
#: Seconds that a caller does something else between two calls, at most.
_THINKS = 0.01
#: Of so many reads one is of ten keys, and one is followed by a delete.
_RARE = 20
#: For all servers to be up again, in seconds.
_RECOVERS = 60.0


class Call(NamedTuple):
    """One call of a caller: when it began, how long it took (s), and how many keys it found and missed."""

    began: float
    seconds: float
    hits: int
    misses: int


@dataclass(frozen=True, slots=True)
class Wishes:
    """What to run: ``seconds`` are those before, those after, and those that each killed server is away."""

    clients: int = 8
    servers: int = 3
    kills: int = 4
    seconds: float = 5.0
    deadline: float = 0.25
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the callers saw in each phase, and what they should not have seen."""

    phases: dict[str, list[Call]]
    errors: list[str]
    deadline: float

    @property
    def p99(self) -> float:
        """99th percentile of all calls, in seconds."""
        return percentile([call for calls in self.phases.values() for call in calls])

    def failures(self) -> list[str]:
        """What must not be."""
        late = [f"p99 {self.p99:.3f} s is over the deadline of {self.deadline} s"]
        return self.errors + (late if self.p99 >= self.deadline else [])


def percentile(calls: Sequence[Call], of: int = 99) -> float:
    """How long calls took, in seconds."""
    return statistics.quantiles([call.seconds for call in calls], n=100)[of - 1]


def run(wishes: Wishes, say: Callable[[str], None]) -> Outcome:
    """Start servers and callers, kill servers one at a time, and collect what the callers saw."""
    draw = random.Random(wishes.seed)
    context = multiprocessing.get_context("fork")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers = [Server(folder / str(number), []) for number in range(wishes.servers)]
        for server in servers:
            server.start()
            stack.callback(server.kill)
        urls = [server.url for server in servers]
        stop = context.Event()
        pipes = []
        for number in range(wishes.clients):
            mine, theirs = context.Pipe(duplex=False)
            context.Process(target=_call, args=(urls, wishes, number, stop, theirs), daemon=True).start()
            pipes.append(mine)
        cache = switchyard.Cache(urls, deadline=wishes.deadline)
        stack.callback(cache.close)
        _wait_until_up(cache)
        for first in range(0, _KEYS, _AT_ONCE):
            cache.set_many({f"key:{first + n}": {"key": first + n} for n in range(_AT_ONCE)})
        marks = [time.monotonic()]
        time.sleep(wishes.seconds)
        marks.append(time.monotonic())
        for _ in range(wishes.kills):
            server = draw.choice(servers)
            say(f"kill {server.port}")
            server.kill()
            time.sleep(wishes.seconds)
            server.start()
            _wait_until_up(cache)
        marks.append(time.monotonic())
        time.sleep(wishes.seconds)
        stop.set()
        results = [pipe.recv() for pipe in pipes]
    calls = [call for some, _ in results for call in some]
    return Outcome(_by_phase(calls, marks), [error for _, some in results for error in some], wishes.deadline)


def _wait_until_up(cache: switchyard.Cache) -> None:
    wait_until(
        lambda: all(state.standing is Standing.UP for state in cache.servers()), "all servers up", _RECOVERS
    )


def _by_phase(calls: Sequence[Call], marks: Sequence[float]) -> dict[str, list[Call]]:
    before, during, after = marks
    return {
        "before": [call for call in calls if before <= call.began < during],
        "during": [call for call in calls if during <= call.began < after],
        "after": [call for call in calls if call.began >= after],
    }


def _call(urls: list[str], wishes: Wishes, number: int, stop: object, report: Connection) -> None:
    """One caller: reads through the cache until told to stop."""
    draw = random.Random(f"{wishes.seed} {number}")
    cache = switchyard.Cache(urls, deadline=wishes.deadline)
    calls: list[Call] = []
    errors: list[str] = []
    while not stop.is_set():  # type: ignore[attr-defined]
        try:
            _read_through(cache, draw, calls)
        except Exception as exc:
            errors.append(f"caller {number}: {type(exc).__name__}: {exc}")
        time.sleep(draw.uniform(0, _THINKS))
    report.send((calls, errors))


def _read_through(cache: switchyard.Cache, draw: random.Random, calls: list[Call]) -> None:
    count = 10 if draw.randrange(_RARE) == 0 else 1
    keys = {f"key:{int(draw.random() ** 2 * _KEYS)}" for _ in range(count)}
    found = _timed(calls, lambda: cache.get_many(keys), keys)
    for key in keys - set(found):
        _timed(calls, lambda key=key: cache.set(key, {"key": key}) and {})  # type: ignore[misc]
    if draw.randrange(_RARE) == 0:
        _timed(calls, lambda: cache.delete(keys.pop()) and {})


def _timed(
    calls: list[Call], call: Callable[[], dict[str, object] | bool], keys: set[str] | None = None
) -> dict[str, object]:
    began = time.monotonic()
    found = call() or {}
    assert isinstance(found, dict)
    seconds = time.monotonic() - began
    calls.append(Call(began, seconds, len(found), len(keys or ()) - len(found)))
    return found


def table(outcome: Outcome) -> str:
    """One line for each phase."""
    lines = ["phase        calls   hit rate   p50 ms   p99 ms   max ms"]
    for name, calls in outcome.phases.items():
        hits, misses = sum(call.hits for call in calls), sum(call.misses for call in calls)
        slowest = max(call.seconds for call in calls)
        times = [1000 * seconds for seconds in (percentile(calls, 50), percentile(calls), slowest)]
        rate = 100 * hits / max(1, hits + misses)
        lines.append(f"{name:<9}{len(calls):>9}{rate:>9.1f} %" + "".join(f"{ms:>9.1f}" for ms in times))
    return "\n".join(lines)


@click.command()
@click.option("--clients", type=click.IntRange(1), default=8, show_default=True)
@click.option("--servers", type=click.IntRange(2), default=3, show_default=True)
@click.option("--kills", type=click.IntRange(1), default=4, show_default=True)
@click.option("--seconds", type=click.FloatRange(0.5), default=5.0, show_default=True, help="Of each part.")
@click.option("--deadline", type=click.FloatRange(0.01), default=0.25, show_default=True, help="Seconds.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--sequences", type=click.IntRange(0), default=0, help="Check the model instead.")
def main(
    clients: int, servers: int, kills: int, seconds: float, deadline: float, seed: int, sequences: int
) -> None:
    """Kill cache servers under load, one at a time."""
    if sequences:
        cache_machine.check(sequences, 40, seed)
        done = ", ".join(f"{count} {fault}" for fault, count in cache_machine.faults.items())
        click.echo(f"{sequences} sequences from seed {seed}: as the model says; servers: {done}")
        return
    outcome = run(Wishes(clients, servers, kills, seconds, deadline, seed), click.echo)
    click.echo(table(outcome))
    for failure in outcome.failures():
        click.echo(failure)
    sys.exit(1 if outcome.failures() else 0)


if __name__ == "__main__":
    main()
