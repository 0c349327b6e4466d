"""A deploy: new tasks are published while nodes still run the old code. None may be thrown away."""

from __future__ import annotations

import signal
import time
from dataclasses import replace
from pathlib import Path

from switchyard.cluster.state import State
from tests.chaos.bed.app import CODE, NEW
from tests.chaos.bed.bed import Bed, Wishes, await_ready, made
from tests.chaos.evidence import ledger, observe
from tests.chaos.evidence.verdict import Evidence, Hit
from tests.chaos.machines.servers import Server
from tests.chaos.run import drive
from tests.chaos.run.drive import Say
from tests.chaos.run.plan import Kind
from tests.chaos.scenarios.story import Story
from tests.support.waiting import wait_until

#: For a node to end on SIGTERM, and for all new tasks to be somewhere, in seconds.
_ENDS, _SOMEWHERE = 60.0, 60.0


def wishes(nodes: int, slots: int, lease: float) -> Wishes:
    """A cluster under load, all of it on the old code."""
    return Wishes(nodes=nodes, slots=slots, producers=1, lease=lease, renew=lease / 4)


def run(wishes: Wishes, count: int, folder: Path, say: Say) -> Story:
    """New tasks come before, between and after the restarts; what was set aside is put back at the end."""
    with made(wishes, folder, Server(folder / "redis")) as bed:
        parts, published = len(bed.nodes) + 1, 0
        for number in range(parts):
            for _ in range(count // parts):
                bed.publish(f"new{published}", "fresh")
                published += 1
            if number < len(bed.nodes):
                _restart_with_new_code(bed, number)
                say(f"{bed.nodes[number].name} runs the new code")
        state = State(bed.client, observe.KEYS)
        wait_until(
            lambda: _are_somewhere(bed, state, published), "every new task ran or is set aside", _SOMEWHERE
        )
        aside = state.dead_receipts()
        reasons = {entry.reason for receipt in aside if (entry := state.dead(receipt)) is not None}
        say(f"{len(aside)} of {published} new tasks were set aside: {', '.join(sorted(reasons))}")
        for receipt in aside:
            state.requeue(receipt)
        bed.stop_producers()
        drive.drain(bed)
        evidence = drive.gather(bed)
    figures = {"new tasks, of these set aside by old nodes": f"{published}, {len(aside)}"}
    return Story(evidence, tuple(wrong(evidence, published, len(aside))), figures)


def _restart_with_new_code(bed: Bed, number: int) -> None:
    node = bed.nodes[number]
    node.running.send_signal(signal.SIGTERM)
    now = time.monotonic()
    bed.hits.append(Hit(Kind.TERM, node.name, now, now, slots=node.slots))
    node.running.wait(_ENDS)
    bed.nodes[number] = replace(node, env={**node.env, CODE: NEW})
    bed.nodes[number].start()
    await_ready(bed, [bed.nodes[number]])


def _are_somewhere(bed: Bed, state: State, published: int) -> bool:
    ran = {run.task for run in ledger.runs(bed.folder / "runs") if run.task.startswith("new")}
    return len(ran) + len(state.dead_receipts()) >= published


def wrong(evidence: Evidence, published: int, aside: int) -> list[str]:
    """What must not be beside the verdict: new tasks that never ran, or none that came to old code."""
    ran = {run.task for run in evidence.runs if run.task.startswith("new") and run.end is not None}
    found = [f"{published - len(ran)} of {published} new tasks never ran"] if len(ran) < published else []
    return found if aside else [*found, "no old node met a new task: nothing was tried"]
