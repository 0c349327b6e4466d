"""The server's clock is set forwards and back under load: it costs a lease of patience, and no task."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from tests.chaos.bed.bed import Bed, Wishes, made
from tests.chaos.evidence import ledger, observe
from tests.chaos.evidence.verdict import EVERYBODY, Hit
from tests.chaos.machines.servers import Stepped
from tests.chaos.run import drive, faults
from tests.chaos.run.drive import Say
from tests.chaos.run.plan import Fault, Kind
from tests.chaos.scenarios.story import Story
from tests.support.waiting import wait_until

#: How far the clock is from the machine's, one step after the other, in seconds.
STEPS = (3600.0, 0.0, -3600.0, 30.0, -30.0)
#: Leases after a step before a node is killed, and for a task to start after it.
_CALM, _PATIENCE = 1.0, 6.0
#: For a node to be back, in seconds.
_BACK = 60.0


def wishes(nodes: int, slots: int, lease: float) -> Wishes:
    """A cluster under load."""
    return Wishes(nodes=nodes, slots=slots, lease=lease, renew=lease / 4)


def run(wishes: Wishes, folder: Path, say: Say) -> Story:
    """After each step a node is killed: who trusts the clock would not notice, or lose the rest."""
    freed: list[float] = []
    server = Stepped(folder / "redis")
    with made(wishes, folder, server) as bed:
        for number, seconds in enumerate(STEPS):
            _step(bed, server, seconds)
            _rest(wishes.lease * _CALM)
            freed.append(_kill(bed, number % len(bed.nodes), wishes.lease))
            say(f"clock {seconds:+.0f} s; the tasks of a killed node were given back after {freed[-1]:.1f} s")
        bed.stop_producers()
        drive.drain(bed)
        evidence = drive.gather(bed)
    # Its stamps are of the clock that was moved: they say nothing of when.
    evidence = replace(evidence, losses=())
    late = [s for s in freed if s > wishes.lease * _PATIENCE]
    wrong = [f"{len(late)} killed nodes were noticed after {max(late):.1f} s"] if late else []
    return Story(evidence, tuple(wrong), {"killed nodes noticed after: max": f"{max(freed):.2f} s"})


def _step(bed: Bed, server: Stepped, seconds: float) -> None:
    now = time.monotonic()
    server.step(seconds)
    bed.hits.append(Hit(Kind.CLOCK, EVERYBODY, now, time.monotonic()))


def _kill(bed: Bed, number: int, lease: float) -> float:
    """Seconds until nothing is held under its name; it is back then."""
    node = bed.nodes[number]
    begin = time.monotonic()
    faults.inflict(bed, Fault(0.0, Kind.KILL_NODE, (number,), 0.0, 0.0))
    wait_until(lambda: not observe.held(bed.client, node.name), f"{node.name}'s tasks are given back", _BACK)
    took = time.monotonic() - begin
    node.start()
    wait_until(lambda: node.is_ready() and _runs_since(bed, time.monotonic() - lease), "it goes on", _BACK)
    return took


def _runs_since(bed: Bed, at: float) -> bool:
    return any(run.start > at for run in ledger.runs(bed.folder / "runs"))


def _rest(seconds: float) -> None:
    until = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() > until, "the clock is old news", seconds + 1)
