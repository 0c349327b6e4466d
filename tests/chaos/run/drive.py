"""One run: starts the bed, inflicts the plan, waits until all is drained, and gathers the evidence."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import redis

from tests.chaos.bed.bed import STARTS, Bed, Wishes, await_ready, made, monotonic_offset
from tests.chaos.evidence import ledger, observe
from tests.chaos.evidence.verdict import Evidence
from tests.chaos.machines import network
from tests.chaos.machines.servers import Durability, Server
from tests.chaos.run import faults
from tests.chaos.run.endings import Endings
from tests.chaos.run.faults import NobodyToHit
from tests.chaos.run.plan import Fault, Kind, Plan

#: Before a fault that found nobody to hit is tried again, and for how long in all, in seconds.
_AGAIN = 0.25
_PATIENCE = 120.0
#: Load before the first fault and after the last, in seconds.
_CALM = 2.0
#: Without a single task finished for so long after the last publish, the run is over, in seconds.
_STALLED = 15.0
#: For the backlog to drain, whatever progress there is, in seconds.
_DRAINED = 180.0
#: Between two looks, in seconds.
_LOOK = 0.25

Say = Callable[[str], None]


def run(wishes: Wishes, plan: Plan, folder: Path, say: Say) -> Evidence:
    """Everything from the first process to the last. Raises AssertionError if the bed can't be made."""
    dies = {fault.kind for fault in plan.faults} & {Kind.RESTART_REDIS, Kind.CRASH_REDIS}
    with network.made(wishes.partition_by, folder) as joined:
        server = Server(
            folder / "redis",
            durability=Durability(wishes.appendfsync) if dies else Durability.NONE,
            enter=joined.enter if joined else (),
        )
        with made(wishes, folder, server, joined) as bed:
            return through(bed, plan, say)


def through(bed: Bed, plan: Plan, say: Say) -> Evidence:
    """Inflict the plan on a bed that is up, then gather the evidence."""
    watch = observe.Watch(bed.server.client(), {node.name: node.slots for node in bed.nodes})
    if bed.ours:
        watch.start()
    try:
        inflict(bed, plan, say)
        not_back = _come_to_rest(bed, say)
    finally:
        watch.stop()
    return gather(bed, watch, plan.kills, not_back)


def inflict(bed: Bed, plan: Plan, say: Say) -> None:
    """One fault after the other. One that has to wait for a victim puts off all that follow it."""
    endings = Endings()
    begin = time.monotonic() + _CALM
    for number, fault in enumerate(plan.faults):
        endings.sleep_until(begin + fault.at)
        struck = _strike(bed, fault, endings)
        if struck is None:
            bed.skipped += [never.kind for never in plan.faults[number:]]
            say(f"{fault.at:7.1f} s  {fault.kind}: nobody to hit within {_PATIENCE:g} s; this ends the plan")
            break
        begin = max(begin, struck - fault.at)
        say(f"{fault.at:7.1f} s  {fault.kind}  {bed.hits[-1].node}  at {struck:.1f}")
    else:
        endings.sleep_until(begin + plan.seconds + _CALM)
    endings.finish()


def _strike(bed: Bed, fault: Fault, endings: Endings) -> float | None:
    """Inflict the fault as soon as there is somebody to hit: when that was, None if there never was."""
    deadline = time.monotonic() + _PATIENCE
    while (now := time.monotonic()) < deadline:
        try:
            endings.add(faults.inflict(bed, fault))
        except NobodyToHit:
            endings.sleep_until(now + _AGAIN)
        else:
            return now
    return None


def _come_to_rest(bed: Bed, say: Say) -> list[str]:
    """No more publishes and faults: wait for all nodes, then for all tasks. The nodes that did not return."""
    bed.stop_producers()
    try:
        await_ready(bed, bed.nodes)
    except AssertionError:
        return [node.name for node in bed.nodes if not node.is_ready()]
    say("the faults are over; draining")
    drain(bed)
    if not bed.ours:
        return []
    return _await_all_up(bed)


def drain(bed: Bed) -> None:
    """Until every acknowledged task has ended, or nothing ends any more."""
    pause = threading.Event()
    acked = {publish.task for publish in ledger.publishes(bed.folder / "publishes") if publish.acked}
    deadline = time.monotonic() + _DRAINED
    seen, seen_at = -1, time.monotonic()
    while time.monotonic() < min(deadline, seen_at + _STALLED):
        ended = {run.task for run in ledger.runs(bed.folder / "runs") if run.end is not None}
        if acked <= ended and not _busy(bed):
            return
        if len(ended) != seen:
            seen, seen_at = len(ended), time.monotonic()
        pause.wait(_LOOK)


def _busy(bed: Bed) -> bool:
    """Whether Redis has a task still: a copy may run on after its twin has ended."""
    try:
        return bool(observe.left(bed.client, [node.name for node in bed.nodes]))
    except redis.RedisError:
        return True


def _await_all_up(bed: Bed) -> list[str]:
    """Names of nodes that the cluster does not list as up, after waiting for them."""
    pause = threading.Event()
    deadline = time.monotonic() + STARTS
    while (away := observe.not_up(bed.client, [node.name for node in bed.nodes])) and (
        time.monotonic() < deadline
    ):
        pause.wait(_LOOK)
    return away


def gather(
    bed: Bed, watch: observe.Watch | None = None, planned: int = 0, not_back: Sequence[str] = ()
) -> Evidence:
    """Stop the nodes and take down what they left behind."""
    names = [node.name for node in bed.nodes]
    left = observe.left(bed.client, names)
    losses = observe.losses(bed.client, monotonic_offset()) if bed.ours else []
    if bed.ours and not not_back:
        bed.complaints += bed.stop_nodes()
    return Evidence(
        publishes=ledger.publishes(bed.folder / "publishes"),
        runs=ledger.runs(bed.folder / "runs"),
        hits=tuple(bed.hits),
        left=left,
        leftovers=tuple(observe.leftovers(bed.client)) if bed.ours else (),
        over_bound=tuple(watch.over_bound) if watch else (),
        over_claimed=tuple(watch.over_claimed) if watch else (),
        planned=planned,
        skipped=tuple(bed.skipped),
        losses=tuple(losses),
        orphans=bed.orphans,
        lease=bed.wishes.lease,
        partition_by=bed.wishes.partition_by,
        appendfsync=bed.server.durability,
        not_back=(*not_back, *bed.complaints),
    )
