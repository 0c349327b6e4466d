"""A node is killed that holds thousands of tasks which are not due yet: each must run once, and in time."""

from __future__ import annotations

import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.chaos.bed.bed import Bed, Wishes, made
from tests.chaos.bed.nodes import Node
from tests.chaos.evidence import ledger, observe
from tests.chaos.evidence.verdict import Hit
from tests.chaos.machines import processes
from tests.chaos.machines.servers import Server
from tests.chaos.run import drive
from tests.chaos.run.drive import Say
from tests.chaos.run.plan import Kind
from tests.chaos.scenarios.story import Story
from tests.support.waiting import wait_until

#: From the first publish until all are due, in seconds, beside what each publish may take.
_CALM, _A_PUBLISH = 20.0, 0.01
#: For one node to claim its share, in seconds.
_CLAIMED = 60.0


def wishes(nodes: int, slots: int, lease: float) -> Wishes:
    """Nodes and no load beside: who holds what is plain."""
    return Wishes(nodes=nodes, slots=slots, producers=0, lease=lease, renew=lease / 4)


def run(wishes: Wishes, count: int, folder: Path, say: Say) -> Story:
    """So many tasks with an ETA; the node that holds most of them is killed before they are due."""
    with made(wishes, folder, Server(folder / "redis")) as bed:
        due = time.monotonic() + _CALM + count * _A_PUBLISH
        eta = datetime.now(UTC) + timedelta(seconds=due - time.monotonic())
        for number in range(count):
            bed.publish(f"e{number}", "work", 0.0, eta=eta)
        say(f"{count} tasks are published, due in {due - time.monotonic():.0f} s")
        victim, had = _kill_the_fullest(bed, count)
        say(f"{victim.name} is killed; it held {had}")
        killed = time.monotonic()
        wait_until(lambda: not observe.held(bed.client, victim.name), "all is given back", _CLAIMED)
        freed = time.monotonic() - killed
        victim.start()
        wait_until(lambda: time.monotonic() > due, "they are due", due - time.monotonic() + _CALM)
        drive.drain(bed)
        story = drive.gather(bed)
    ends = [run.end - due for run in ledger.runs(folder / "runs") if run.end is not None]
    figures = {
        "tasks on the killed node": str(had),
        "all given back after": f"{freed:.2f} s",
        "the last ended after all were due": f"{max(ends, default=0.0):.2f} s",
    }
    return Story(story, tuple(wrong(ends)), figures)


def _kill_the_fullest(bed: Bed, count: int) -> tuple[Node, int]:
    def held() -> dict[str, int]:
        return {node.name: len(observe.held(bed.client, node.name)) for node in bed.nodes}

    wait_until(lambda: sum(held().values()) >= count, "the nodes hold all of them", _CLAIMED)
    most = held()
    victim = max(bed.nodes, key=lambda node: most[node.name])
    processes.signal_group(victim.running, signal.SIGKILL)
    now = time.monotonic()
    bed.hits.append(Hit(Kind.KILL_NODE, victim.name, now, now, slots=victim.slots))
    victim.running.wait()
    return victim, most[victim.name]


def wrong(ends: list[float]) -> list[str]:
    """What must not be beside the verdict, for ends in seconds after all were due."""
    early = sum(end < 0 for end in ends)
    return [f"{early} tasks ran before they were due"] if early else []
