"""Rolling restarts under load, again and again: nothing may be lost, and nothing run twice."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

from tests.chaos.bed.bed import Bed, Wishes, await_ready, made
from tests.chaos.bed.nodes import Node
from tests.chaos.evidence.verdict import Hit
from tests.chaos.machines.servers import Server
from tests.chaos.run import drive
from tests.chaos.run.drive import Say
from tests.chaos.run.plan import Kind
from tests.chaos.scenarios.story import Story

#: For a node to end on SIGTERM, in seconds: its longest task takes one, and a busy machine some more.
_ENDS = 30.0
#: A clean stop that takes longer waits for something that does not come, in seconds.
_SOON = 10.0


def wishes(nodes: int, slots: int, lease: float) -> Wishes:
    """Prefork nodes under load: the parent must take in what its children still send."""
    return Wishes(nodes=nodes, slots=slots, pools=("prefork",), lease=lease, renew=lease / 4)


def run(wishes: Wishes, count: int, folder: Path, say: Say) -> Story:
    """Every node is restarted so many times, one after the other."""
    took: list[float] = []
    with made(wishes, folder, Server(folder / "redis")) as bed:
        for number in range(count):
            took += [_restart(bed, node) for node in bed.nodes]
            if (number + 1) % 10 == 0:
                say(f"{number + 1} of {count} rolling restarts; the longest stop took {max(took):.1f} s")
        bed.stop_producers()
        drive.drain(bed)
        evidence = drive.gather(bed)
    took.sort()
    middle, most = took[len(took) // 2], took[-1]
    return Story(evidence, tuple(wrong(took)), {"a clean stop: p50, max": f"{middle:.2f}, {most:.2f} s"})


def wrong(took: list[float]) -> list[str]:
    """What must not be beside the verdict, for how long the stops took, in seconds."""
    slow = sum(seconds > _SOON for seconds in took)
    return [f"{slow} stops took more than {_SOON:g} s"] if slow else []


def _restart(bed: Bed, node: Node) -> float:
    """Seconds that its end took."""
    begin = time.monotonic()
    node.running.send_signal(signal.SIGTERM)
    bed.hits.append(Hit(Kind.TERM, node.name, begin, begin, slots=node.slots))
    try:
        node.running.wait(_ENDS)
    except subprocess.TimeoutExpired:
        node.cry()
        bed.complaints.append(f"{node.name} did not end within {_ENDS:g} s of SIGTERM, see {node.log}")
    took = time.monotonic() - begin
    node.start()
    await_ready(bed, [node])
    return took
