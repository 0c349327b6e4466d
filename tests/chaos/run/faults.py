"""Does the faults: one function for each kind. Each begins a fault and says what ends it, and when."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.chaos.bed.bed import Bed
from tests.chaos.bed.nodes import Node
from tests.chaos.evidence import observe
from tests.chaos.evidence.verdict import EVERYBODY, Hit
from tests.chaos.machines import processes
from tests.chaos.machines.sentinel import Sentinels
from tests.chaos.machines.servers import Server
from tests.chaos.run.plan import Fault, Kind

#: For a node to end on SIGTERM before it counts as hanging, in seconds.
_TERM = 30.0
#: For the sentinels to promote the replica, in seconds.
_FAILOVER = 30.0


@dataclass(frozen=True, slots=True)
class Later:
    """What is to be done ``after`` so many seconds to end a fault, or to look again whether it is over."""

    after: float
    act: Callable[[], Later | None]


class NobodyToHit(Exception):
    """No node is fit for this fault now: try again a little later."""


def inflict(bed: Bed, fault: Fault) -> Later | None:
    """Begin a fault. Raises NobodyToHit."""
    return _ACTS[fault.kind](bed, fault)


def _victim(bed: Bed, fault: Fault, pool: str | None = None) -> Node:
    """The first healthy node in the fault's order; one other node must be healthy, to go on."""
    ready = [node for node in bed.nodes if node.is_ready()]
    fit = [bed.nodes[i] for i in fault.order if bed.nodes[i] in ready and pool in (None, bed.nodes[i].pool)]
    if not fit or len(ready) < 2:
        raise NobodyToHit
    return fit[0]


def _note(bed: Bed, kind: Kind, node: Node | None, pid: int | None = None) -> int:
    """Note a hit that begins now, and what the node had; the number of the note."""
    now = time.monotonic()
    name, slots = (node.name, node.slots) if node else (EVERYBODY, 0)
    had = observe.held(bed.client, node.name) if node and bed.ours and pid is None else frozenset()
    bed.hits.append(Hit(kind, name, now, now, pid, had, slots))
    return len(bed.hits) - 1


def _until_now(bed: Bed, number: int) -> None:
    bed.hits[number] = replace(bed.hits[number], end=time.monotonic())


def _kill_node(bed: Bed, fault: Fault) -> Later:
    node = _victim(bed, fault)
    node.fault = fault.kind
    processes.signal_group(node.running, signal.SIGKILL)
    _note(bed, fault.kind, node)
    node.running.wait()
    return Later(fault.back_after, node.start)


def _kill_parent(bed: Bed, fault: Fault) -> Later:
    """The children of prefork notice by the end of their pipe, or run their task to its end first."""
    node = _victim(bed, fault)
    node.fault = fault.kind
    pids = processes.children(node.running)
    node.running.kill()
    number = _note(bed, fault.kind, node)
    node.running.wait()

    def back() -> None:
        bed.orphans += len(processes.alive(pids))
        node.start()
        _until_now(bed, number)

    return Later(fault.back_after, back)


def _kill_child(bed: Bed, fault: Fault) -> None:
    node = _victim(bed, fault, "prefork")
    pids = processes.alive(sorted(processes.children(node.running)))
    if not pids:
        raise NobodyToHit
    pid = pids[fault.order[0] % len(pids)]
    processes.signal_process(pid, signal.SIGKILL)
    _note(bed, fault.kind, node, pid)


def _pause(bed: Bed, fault: Fault) -> Later:
    node = _victim(bed, fault)
    node.fault = fault.kind
    processes.signal_group(node.running, signal.SIGSTOP)
    number = _note(bed, fault.kind, node)

    def go_on() -> None:
        processes.signal_group(node.running, signal.SIGCONT)
        _until_now(bed, number)
        node.be_calm()

    return Later(fault.lasts, go_on)


def _partition(bed: Bed, fault: Fault) -> Later:
    node = _victim(bed, fault)
    link = node.link
    assert link is not None, "a partition needs a link that can fall silent"
    node.fault = fault.kind
    link.silence()
    number = _note(bed, fault.kind, node)

    def heal() -> None:
        link.heal()
        _until_now(bed, number)
        node.be_calm()

    return Later(fault.lasts, heal)


def _term(bed: Bed, fault: Fault) -> Later:
    node = _victim(bed, fault)
    node.fault = fault.kind
    node.running.send_signal(signal.SIGTERM)
    _note(bed, fault.kind, node)
    deadline = time.monotonic() + _TERM

    def again() -> Later | None:
        if node.running.poll() is None and time.monotonic() < deadline:
            return Later(0.05, again)
        if node.running.returncode is None:
            node.cry()
            bed.complaints.append(f"{node.name} did not end within {_TERM:g} s of SIGTERM, see {node.log}")
        node.start()
        return None

    return Later(0.05, again)


def _cut(bed: Bed, fault: Fault) -> None:
    _note(bed, fault.kind, None)
    bed.client.client_kill_filter(_type="normal", skipme=True)


def _restart_redis(bed: Bed, fault: Fault) -> None:
    server = _only_server(bed)
    number = _note(bed, fault.kind, None)
    server.kill()
    server.start()
    _until_now(bed, number)


def _crash_redis(bed: Bed, fault: Fault) -> None:
    """The server's machine dies and comes back with what was on its disk."""
    server = _only_server(bed)
    number = _note(bed, fault.kind, None)
    server.kill()
    forgot = server.forget(bed.hits[number].start)
    server.start()
    bed.hits[number] = replace(bed.hits[number], end=time.monotonic(), forgot=forgot)


def _only_server(bed: Bed) -> Server:
    assert isinstance(bed.server, Server), "behind Sentinel a server that dies is a failover"
    return bed.server


def _failover(bed: Bed, fault: Fault) -> Later:
    sentinels = bed.server
    assert isinstance(sentinels, Sentinels), "a failover needs Sentinel"
    if not sentinels.in_sync():
        raise NobodyToHit
    number = _note(bed, fault.kind, None)
    sentinels.fail()
    deadline = time.monotonic() + _FAILOVER

    def over() -> Later | None:
        _until_now(bed, number)
        if sentinels.has_failed_over():
            sentinels.repair()
            return None
        if time.monotonic() > deadline:
            bed.complaints.append(f"no failover within {_FAILOVER:g} s")
            return None
        return Later(0.05, over)

    return Later(0.05, over)


def _refuse(bed: Bed, fault: Fault) -> Later:
    """It wants a replica in step with it, and has none."""
    number = _note(bed, fault.kind, None)
    bed.client.config_set("min-replicas-to-write", 1)

    def accept() -> None:
        bed.client.config_set("min-replicas-to-write", 0)
        _until_now(bed, number)

    return Later(fault.lasts, accept)


def _silent_producer(bed: Bed, fault: Fault) -> Later:
    link = bed.producer_links[fault.order[0] % len(bed.producer_links)]
    number = _note(bed, fault.kind, None)
    link.silence()

    def heal() -> None:
        link.heal()
        _until_now(bed, number)

    return Later(fault.lasts, heal)


def _producer_kill(bed: Bed, fault: Fault) -> Later:
    number = fault.order[0] % len(bed.producers)
    processes.kill_group(bed.producers[number])
    _note(bed, fault.kind, None)

    def back() -> None:
        bed.producers[number] = bed.start_producer(number)

    return Later(fault.back_after, back)


def _join(bed: Bed, fault: Fault) -> None:
    """A node that nobody knew starts in the middle of it all."""
    node = bed.add_node()
    node.start()
    _note(bed, fault.kind, node)


_ACTS: dict[Kind, Callable[[Bed, Fault], Later | None]] = {
    Kind.KILL_NODE: _kill_node,
    Kind.KILL_PARENT: _kill_parent,
    Kind.KILL_CHILD: _kill_child,
    Kind.PAUSE: _pause,
    Kind.PARTITION: _partition,
    Kind.TERM: _term,
    Kind.CUT: _cut,
    Kind.RESTART_REDIS: _restart_redis,
    Kind.CRASH_REDIS: _crash_redis,
    Kind.FAILOVER: _failover,
    Kind.REFUSE: _refuse,
    Kind.PRODUCER_KILL: _producer_kill,
    Kind.SILENT_PRODUCER: _silent_producer,
    Kind.JOIN: _join,
}
