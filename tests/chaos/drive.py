"""One run: starts the bed, inflicts the plan, waits until all is drained, and gathers the evidence."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from pathlib import Path

import redis

from tests.chaos import faults, ledger, observe
from tests.chaos.bed import STARTS, Bed, Wishes, await_ready, made, monotonic_offset
from tests.chaos.faults import Later, NobodyToHit
from tests.chaos.plan import Fault, Kind, Plan
from tests.chaos.servers import Server, durable
from tests.chaos.verdict import Evidence

#: Before a fault that found nobody to hit is tried again, in seconds, and how often.
_AGAIN = 0.25
_TRIES = 480
#: Load before the first fault and after the last, in seconds.
_CALM = 2.0
#: Without a single task finished for so long after the last publish, the run is over, in seconds.
_STALLED = 15.0
#: For the backlog to drain, whatever progress there is, in seconds.
_DRAINED = 180.0
#: Between two looks, in seconds.
_LOOK = 0.25

Say = Callable[[str], None]
_Due = tuple[float, int, Callable[[], Later | None]]


def run(wishes: Wishes, plan: Plan, folder: Path, say: Say) -> Evidence:
    """Everything from the first process to the last. Raises AssertionError if the bed can't be made."""
    kinds = {fault.kind for fault in plan.faults}
    options = durable() if Kind.RESTART_REDIS in kinds else []
    server = Server(folder / "redis", options)
    with made(wishes, folder, server) as bed:
        return through(bed, plan, say)


def through(bed: Bed, plan: Plan, say: Say) -> Evidence:
    """Inflict the plan on a bed that is up, then gather the evidence."""
    watch = observe.Watch(bed.server.client(), {node.name: node.slots for node in bed.nodes})
    if bed.ours:
        watch.start()
    try:
        _inflict(bed, plan, say)
        not_back = _come_to_rest(bed, say)
    finally:
        watch.stop()
    return _gather(bed, watch, not_back)


def _inflict(bed: Bed, plan: Plan, say: Say) -> None:
    numbers = itertools.count()
    begin = time.monotonic() + _CALM
    due: list[_Due] = [(begin + fault.at, next(numbers), _patient(bed, fault, say)) for fault in plan.faults]
    due.append((begin + plan.seconds + _CALM, next(numbers), lambda: None))
    heapq.heapify(due)
    pause = threading.Event()
    while due:
        at, _, act = heapq.heappop(due)
        pause.wait(max(0.0, at - time.monotonic()))
        later = act()
        if later is not None:
            heapq.heappush(due, (time.monotonic() + later.after, next(numbers), later.act))


def _patient(bed: Bed, fault: Fault, say: Say) -> Callable[[], Later | None]:
    """The fault, tried again a few times while there is nobody to hit."""
    tries = itertools.count(1)

    def act() -> Later | None:
        try:
            later = faults.inflict(bed, fault)
        except NobodyToHit:
            if next(tries) < _TRIES:
                return Later(_AGAIN, act)
            bed.skipped.append(fault.kind)
            return None
        hit = bed.hits[-1]
        say(f"{fault.at:7.1f} s  {fault.kind}  {hit.node}  at {hit.start:.1f}")
        return later

    return act


def _come_to_rest(bed: Bed, say: Say) -> list[str]:
    """No more publishes and faults: wait for all nodes, then for all tasks. The nodes that did not return."""
    bed.stop_producers()
    try:
        await_ready(bed, bed.nodes)
    except AssertionError:
        return [node.name for node in bed.nodes if not node.is_ready()]
    say("the faults are over; draining")
    _drain(bed)
    if not bed.ours:
        return []
    return _await_all_up(bed)


def _drain(bed: Bed) -> None:
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


def _gather(bed: Bed, watch: observe.Watch, not_back: list[str]) -> Evidence:
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
        over_bound=tuple(watch.over_bound),
        over_claimed=tuple(watch.over_claimed),
        skipped=tuple(bed.skipped),
        losses=tuple(losses),
        orphans=bed.orphans,
        lease=bed.wishes.lease,
        not_back=(*not_back, *bed.complaints),
    )
