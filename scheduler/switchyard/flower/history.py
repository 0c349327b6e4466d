"""The last 15 minutes of each node and queue, kept in memory and bounded."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from switchyard.flower.snapshot import NodeTrend, QueueTrend, Rates, Series
from switchyard.models import Node, NodeState, QueueDepth

#: Seconds from one point of a series to the next, and points of a series: 15 minutes.
STEP, POINTS = 10, 90
#: Seconds over which tasks in and out are averaged: heartbeats, which bring them, come once a second.
WINDOW = 10.0


class Track:
    """One figure: a point is the mean of what was seen within one step."""

    def __init__(self) -> None:
        self._past: Series = (None,) * (POINTS - 1)
        self._step: int | None = None
        self._sum, self._count = 0.0, 0

    def add(self, value: float | None, now: float) -> None:
        """One more sight of the figure, None if it can't be seen, at ``now`` by a monotonic clock."""
        step = int(now // STEP)
        steps = 0 if self._step is None else min(step - self._step, POINTS)
        if steps:
            self._past = (*self._past, self._mean(), *(None,) * (steps - 1))[-(POINTS - 1) :]
            self._sum, self._count = 0.0, 0
        self._step = step
        if value is not None:
            self._sum, self._count = self._sum + value, self._count + 1

    def series(self) -> Series:
        """All points, the oldest first; the last is that of the current step."""
        return (*self._past, self._mean())

    def _mean(self) -> float | None:
        if not self._count:
            return None
        mean = self._sum / self._count
        return round(mean, 1) if mean < 100 else round(mean)


@dataclass(slots=True)
class _QueueTrack:
    """A queue's tracks, and how many tasks came in and went out since it was first seen."""

    waiting: Track = field(default_factory=Track)
    into: Track = field(default_factory=Track)
    out: Track = field(default_factory=Track)
    totals: deque[tuple[float, int, int]] = field(default_factory=deque)
    depth: int = 0

    def add(self, queue: QueueDepth, settled: int, now: float) -> Rates:
        """What came in is what went out and what the queue has grown by: so stock producers count as well."""
        depth = queue.waiting + queue.placed + queue.claimed
        _, came, went = self.totals[-1] if self.totals else (now, 0, 0)
        grown = depth - self.depth if self.totals else 0
        self.depth = depth
        self.totals.append((now, came + settled + grown, went + settled))
        while len(self.totals) > 2 and self.totals[1][0] <= now - WINDOW:
            self.totals.popleft()
        rates = self._rates()
        self.waiting.add(queue.waiting + queue.placed, now)
        self.into.add(rates.into, now)
        self.out.add(rates.out, now)
        return rates

    def _rates(self) -> Rates:
        (since, came_before, went_before), (until, came, went) = self.totals[0], self.totals[-1]
        seconds = until - since
        if seconds <= 0:
            return Rates()
        # A settlement is seen a heartbeat after the queue has shrunk, and a purge shrinks it as well.
        return Rates(max(came - came_before, 0) / seconds, (went - went_before) / seconds)


@dataclass(slots=True)
class _NodeTrack:
    busy: Track = field(default_factory=Track)
    cpu: Track = field(default_factory=Track)

    def add(self, node: Node, now: float) -> None:
        """A lost node says nothing of itself, and what it said last is not so any more."""
        lost = node.state is NodeState.LOST
        self.busy.add(None if lost else 100 * node.busy / max(node.slots, 1), now)
        self.cpu.add(None if lost else node.load.cpu, now)


class History:
    """Takes in one look after the other. Not for several threads."""

    def __init__(self) -> None:
        self._nodes: dict[str, _NodeTrack] = {}
        self._queues: dict[str, _QueueTrack] = {}
        self._settled: dict[str, tuple[int, Mapping[str, int]]] | None = None

    def add(self, nodes: Iterable[Node], queues: Iterable[QueueDepth], now: float) -> dict[str, Rates]:
        """Take in one look at ``now`` by a monotonic clock; tasks per second in and out of each queue."""
        nodes, queues = tuple(nodes), tuple(queues)
        self._nodes = {node.name: self._nodes.get(node.name) or _NodeTrack() for node in nodes}
        self._queues = {queue.name: self._queues.get(queue.name) or _QueueTrack() for queue in queues}
        for node in nodes:
            self._nodes[node.name].add(node, now)
        settled = self._settled_since(nodes)
        return {
            queue.name: self._queues[queue.name].add(queue, settled.get(queue.name, 0), now)
            for queue in queues
        }

    def nodes(self) -> dict[str, NodeTrend]:
        """Each node's last 15 minutes."""
        return {
            name: NodeTrend(track.busy.series(), track.cpu.series()) for name, track in self._nodes.items()
        }

    def queues(self) -> dict[str, QueueTrend]:
        """Each queue's last 15 minutes."""
        return {
            name: QueueTrend(track.waiting.series(), track.into.series(), track.out.series())
            for name, track in self._queues.items()
        }

    def _settled_since(self, nodes: Iterable[Node]) -> dict[str, int]:
        """Tasks settled since the look before, by queue. A restarted node counts from 0 again."""
        before, self._settled = self._settled, {node.name: (node.pid, node.load.settled) for node in nodes}
        since: dict[str, int] = {}
        if before is None:
            return since
        for name, (pid, settled) in self._settled.items():
            old_pid, old = before.get(name, (pid, {}))
            for queue, count in settled.items():
                base = old.get(queue, 0) if pid == old_pid and old.get(queue, 0) <= count else 0
                since[queue] = since.get(queue, 0) + count - base
        return since
