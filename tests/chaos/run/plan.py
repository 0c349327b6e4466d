"""The faults of a run: what, when, to whom, decided by a seed before anything starts.

A fault without a victim is put off, and all that follow it by as much: order and distances stay.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Everything that can be done to a cluster here."""

    KILL_NODE = "kill-node"
    KILL_PARENT = "kill-parent"
    KILL_CHILD = "kill-child"
    PAUSE = "pause"
    PARTITION = "partition"
    TERM = "term"
    CUT = "cut"
    #: The server's process alone dies: what it wrote is in the page cache and survives.
    RESTART_REDIS = "restart-redis"
    #: Its machine dies: what was not on the disk is gone.
    CRASH_REDIS = "crash-redis"
    FAILOVER = "failover"
    #: The server answers reads and takes no write, as one that has lost its replicas.
    REFUSE = "refuse-writes"
    PRODUCER_KILL = "producer-kill"
    #: Nothing reaches a producer or comes from it, and nothing is closed.
    SILENT_PRODUCER = "silent-producer"
    JOIN = "join"
    HANG = "hang"
    #: The server's clock is set forwards or back.
    CLOCK = "clock"
    #: Nobody's doing: a lease ran out on a machine that is too slow.
    LATE = "late"


#: SIGKILL of something that runs tasks.
KILLS = frozenset({Kind.KILL_NODE, Kind.KILL_PARENT, Kind.KILL_CHILD})
#: What the command line offers for a drawn plan; the others have scenarios of their own.
OFFERED = tuple(kind for kind in Kind if kind not in (Kind.FAILOVER, Kind.HANG, Kind.CLOCK, Kind.LATE))
#: Faults that last: mostly past the lease.
_LASTING = (Kind.PAUSE, Kind.PARTITION, Kind.REFUSE, Kind.SILENT_PRODUCER)
#: How often each kind is drawn; those not named, once. SIGKILL of a whole node is what the promise is about.
_WEIGHTS = {Kind.KILL_NODE: 4, Kind.KILL_PARENT: 2, Kind.KILL_CHILD: 2, Kind.PAUSE: 2, Kind.PARTITION: 2}
#: Faults of one run at most.
_MOST = 5_000
#: Nodes that join during one run at most: each takes processor time from all others.
_JOINERS = 2


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: seconds after the start, nodes to try in order, how long it lasts, when a node returns."""

    at: float
    kind: Kind
    order: tuple[int, ...]
    lasts: float
    back_after: float


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole run."""

    seed: int
    seconds: float
    faults: tuple[Fault, ...]

    @property
    def kills(self) -> int:
        """How many SIGKILLs of what runs tasks are planned: all of them must hit."""
        return sum(fault.kind in KILLS for fault in self.faults)


def draw(
    seed: int, kinds: Sequence[Kind], nodes: int, lease: float, every: float, seconds: float, kills: int
) -> Plan:
    """Faults ``every`` seconds on average until ``seconds`` are over or ``kills`` reached (0: no limit)."""
    rng = random.Random(seed)
    faults: list[Fault] = []
    at, killed = 0.0, 0
    for _ in range(_MOST):
        at += every * rng.uniform(0.5, 1.5)
        if at > seconds or (kills and killed >= kills):
            break
        kind = rng.choices(kinds, [_WEIGHTS.get(kind, 1) for kind in kinds])[0]
        if kind is Kind.JOIN and sum(fault.kind is kind for fault in faults) == _JOINERS:
            continue
        killed += kind in KILLS
        order = tuple(rng.sample(range(nodes), nodes))
        faults.append(Fault(round(at, 3), kind, order, _lasts(rng, kind, lease), _back_after(rng, lease)))
    return Plan(seed, min(seconds, at), tuple(faults))


def _lasts(rng: random.Random, kind: Kind, lease: float) -> float:
    """Mostly past the lease, so that the node is fenced; one in four short, so that it must not be."""
    if kind not in _LASTING:
        return 0.0
    past = rng.random() < 0.75
    return round(lease + rng.uniform(0.7, 2.0) if past else lease * rng.uniform(0.1, 0.5), 3)


def _back_after(rng: random.Random, lease: float) -> float:
    """Half return under the old name at once, half after somebody else had to reap."""
    return round(rng.uniform(0.1, 0.5) if rng.random() < 0.5 else lease + rng.uniform(1.0, 2.0), 3)
