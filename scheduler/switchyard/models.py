"""The values that travel between router, strategies, transport and agent. No behaviour beyond their own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class NodeState(StrEnum):
    """What the cluster thinks of a node."""

    UP = "up"
    DRAINING = "draining"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Load:
    """How busy a node's machine was at its last heartbeat.

    ``cpu`` and ``memory`` are percent of the machine, ``load1`` the one minute load average, ``active`` the
    tasks running now, ``done`` the tasks finished since start, ``runtimes`` mean seconds by task name,
    ``settled`` the tasks finished since start by queue, ``renewal`` the seconds that the last heartbeat took,
    ``cache`` what its processes counted of cached calls and near caches (``node_figures.py``).
    """

    cpu: float = 0.0
    memory: float = 0.0
    load1: float = 0.0
    active: int = 0
    done: int = 0
    runtimes: Mapping[str, float] = field(default_factory=dict)
    settled: Mapping[str, int] = field(default_factory=dict)
    renewal: float = 0.0
    cache: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ListNames:
    """How kombu names the lists of a queue, one for each priority step: its options ``sep`` and
    ``priority_steps``. Whoever shares a queue must use the same."""

    separator: str = "\x06\x16"
    steps: tuple[int, ...] = (0, 3, 6, 9)

    def of(self, queue: str) -> list[str]:
        """The lists of a queue, the most urgent first."""
        return [f"{queue}{self.separator}{step}" if step else queue for step in self.steps]

    def split(self, name: str) -> tuple[str, int]:
        """The queue and the priority step of a list. A queue's name may hold the separator as well."""
        queue, found, step = name.rpartition(self.separator)
        if found and step.isdecimal() and int(step) in self.steps:
            return queue, int(step)
        return name, 0

    def dumps(self) -> str:
        """What :meth:`loads` reads: kombu's options, under kombu's names."""
        return json.dumps({"sep": self.separator, "priority_steps": self.steps})

    @classmethod
    def loads(cls, text: str) -> ListNames:
        """Read what :meth:`dumps` wrote."""
        data = json.loads(text)
        return cls(str(data["sep"]), tuple(int(step) for step in data["priority_steps"]))


@dataclass(frozen=True, slots=True)
class Node:
    """One node as the last snapshot saw it. Times are seconds; ``limit`` bounds ``outstanding``."""

    name: str
    state: NodeState = NodeState.UP
    slots: int = 1
    limit: int = 1
    inbox: int = 0
    claims: int = 0
    queues: frozenset[str] = frozenset()
    labels: Mapping[str, str] = field(default_factory=dict)
    load: Load = field(default_factory=Load)
    lease_age: float = 0.0
    lease_left: float = 0.0
    hostname: str = ""
    pid: int = 0
    versions: Mapping[str, str] = field(default_factory=dict)
    lists: ListNames = field(default_factory=ListNames)
    complaint: str = ""

    @property
    def outstanding(self) -> int:
        """Tasks placed on or held by the node."""
        return self.inbox + self.claims

    @property
    def busy(self) -> int:
        """Slots with a claimed task; none of a lost node."""
        return 0 if self.state is NodeState.LOST else min(self.claims, self.slots)

    @property
    def free(self) -> int:
        """Slots that could take a task now."""
        return self.slots - self.busy if self.state is NodeState.UP else 0


@dataclass(frozen=True, slots=True)
class Task:
    """What a strategy may know of the task that it ranks nodes for."""

    name: str
    queue: str = ""
    priority: int = 0
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Selector:
    """Which nodes may run a task at all. Empty means every node that serves the queue."""

    node: str | None = None
    labels: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        return self.node is not None or bool(self.labels)

    def allows(self, name: str, labels: Mapping[str, str]) -> bool:
        """Whether the node with this name and these labels may run the task."""
        if self.node is not None and self.node != name:
            return False
        return all(labels.get(label) == value for label, value in self.labels)

    def dumps(self) -> str:
        """One canonical text, part of the name of the wait list."""
        return json.dumps({"node": self.node, "labels": dict(self.labels)}, sort_keys=True)

    @classmethod
    def loads(cls, text: str) -> Selector:
        """Read what :meth:`dumps` wrote."""
        data = json.loads(text)
        return cls(data["node"], tuple(sorted(data["labels"].items())))

    def __str__(self) -> str:
        parts = [f"node={self.node}"] if self.node is not None else []
        return " ".join(parts + [f"{label}={value}" for label, value in self.labels])


@dataclass(frozen=True, slots=True)
class Intent:
    """How one task shall be placed: the rule and the caller's ``placement=`` taken together.

    ``overflow`` true leaves the task on the shared queue when the ranked nodes are full; false puts it into
    the first ranked node's inbox all the same; None asks the strategy for its own default.
    """

    task: str
    strategy: str
    selector: Selector = Selector()
    overflow: bool | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Placement:
    """A router's decision: the nodes to try, best first, and what to do when none has room.

    ``strategy`` names who ranked them; placements are counted under it.
    """

    candidates: tuple[str, ...]
    bounded: bool
    selector: Selector = Selector()
    strategy: str = ""


@dataclass(frozen=True, slots=True)
class Placed:
    """What became of a placement: the node that got the task and its outstanding, or None for the queue."""

    node: str | None
    outstanding: int = 0


@dataclass(frozen=True, slots=True)
class Tick:
    """One run of a periodic entry, due at ``instant``; after it, none that is due up to ``through`` is sent.

    Both are us of Unix time.
    """

    entry: str
    instant: int
    through: int


@dataclass(frozen=True, slots=True)
class Claim:
    """One message handed to a node; it came from the list ``home``, ``deaths`` nodes died with it, and it was
    handed out ``deliveries`` times before."""

    receipt: str
    home: str
    message: bytes
    deaths: int = 0
    deliveries: int = 0


@dataclass(frozen=True, slots=True)
class DeadTask:
    """A message that was given up on: why, when (Unix time in seconds), and the nodes that died with it."""

    receipt: str
    home: str
    message: bytes
    reason: str
    at: float
    deaths: int = 0
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Delivery:
    """This run of a task: ``count`` is 1 more than the times that a node had it and it came back, by a death
    or without one, ``token`` grows with every delivery, whatever its reason.

    A side effect that remembers the highest token it has seen, and refuses lower ones, cannot be done by a
    node that was fenced while it slept.
    """

    count: int
    token: int


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a node: ``up``, ``lost``, ``left``, ``fenced``, ``drained``, ``resumed``,
    ``restored``, ``given up``, ``locked`` or ``skipped`` (exclusive tasks); to how many tasks, and when (Unix
    time in seconds). ``id`` grows with time."""

    kind: str
    node: str
    count: int
    at: float
    id: str = ""


@dataclass(frozen=True, slots=True)
class Counters:
    """What was counted since the cluster's first day: tasks ``restored`` from lost nodes and ``given_up``,
    late settles of tasks that may have run twice, and tasks left on their queue, by strategy."""

    restored: int = 0
    given_up: int = 0
    possible_duplicates: int = 0
    overflowed: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """One queue: tasks on the shared queue or a wait list, in inboxes, claimed; oldest age in seconds."""

    name: str
    waiting: int = 0
    placed: int = 0
    claimed: int = 0
    oldest_age: float | None = None
    stranded: Mapping[str, int] = field(default_factory=dict)
