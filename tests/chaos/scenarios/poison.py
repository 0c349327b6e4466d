"""A task that ends every node that runs it, among tasks that only wait there: it alone must be given up."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.chaos.bed.bed import Bed, Wishes, await_ready, made
from tests.chaos.evidence import observe
from tests.chaos.evidence.verdict import Evidence, Hit, judge
from tests.chaos.machines.servers import Server
from tests.chaos.run import drive
from tests.chaos.run.drive import Say
from tests.chaos.run.plan import Kind
from tests.chaos.scenarios.story import Story
from tests.support.waiting import wait_until

_POISON = "poison"
#: Innocents: what waits for its time on the nodes, and what runs for long.
_WAITING, _LONG = 100, 3
_LONG_TAKES = 8.0
#: For the poison to be given up, and for all that waits to be due, in seconds.
_GIVEN_UP = 150.0
_DUE = 60.0


def wishes(nodes: int, slots: int, lease: float) -> Wishes:
    """A cluster under load."""
    return Wishes(nodes=nodes, slots=slots, producers=1, lease=lease, renew=lease / 4)


def run(wishes: Wishes, folder: Path, say: Say) -> Story:
    """The poison is published behind the innocents; nodes that it ends are started again."""
    with made(wishes, folder, Server(folder / "redis")) as bed:
        eta = datetime.now(UTC) + timedelta(seconds=_DUE)
        for number in range(_WAITING):
            bed.publish(f"w{number}", "work", 0.0, eta=eta)
        for number in range(_LONG):
            bed.publish(f"l{number}", "work", _LONG_TAKES)
        bed.publish(_POISON, _POISON)
        begin = time.monotonic()
        wait_until(lambda: _is_given_up(bed, say), "the poison is given up", _GIVEN_UP)
        given_up = time.monotonic() - begin
        bed.stop_producers()
        await_ready(bed, bed.nodes)
        wait_until(lambda: datetime.now(UTC) > eta, "all is due", 2 * _DUE)
        drive.drain(bed)
        evidence = drive.gather(bed)
    figures = {"nodes that it ended": str(len(evidence.hits)), "given up after": f"{given_up:.1f} s"}
    return Story(evidence, tuple(wrong(evidence)), figures)


def _is_given_up(bed: Bed, say: Say) -> bool:
    """Look for nodes that ended, start them again, and say whether the poison is in ``dead``."""
    for node in bed.nodes:
        if node.running.poll() is not None:
            now = time.monotonic()
            bed.hits.append(Hit(Kind.KILL_NODE, node.name, now, now, slots=node.slots))
            say(f"{node.name} was ended")
            node.start()
    return observe.left(bed.client, [node.name for node in bed.nodes]).get(_POISON) == "dead"


def wrong(evidence: Evidence) -> list[str]:
    """What must not be beside the verdict: innocents given up, or the poison not."""
    dead = judge(evidence).dead
    return (
        []
        if dead == (_POISON,)
        else [f"given up: {', '.join(sorted(dead)) or 'nothing'}, instead of the poison"]
    )
