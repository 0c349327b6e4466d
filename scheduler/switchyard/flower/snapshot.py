"""What one look at the cluster saw, as one frozen value: all that pages, API and metrics show is in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from switchyard.cluster.as_json import DeadSummary
from switchyard.models import Counters, Event, Node, QueueDepth

#: Series of one figure over the last 15 minutes, the oldest first; None where nothing was seen.
Series = tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Rates:
    """Tasks per second that came into a queue and that were settled, over the last ten seconds."""

    into: float = 0.0
    out: float = 0.0


@dataclass(frozen=True, slots=True)
class NodeTrend:
    """A node over the last 15 minutes: percent of its slots that are busy, and percent of CPU."""

    busy: Series = ()
    cpu: Series = ()


@dataclass(frozen=True, slots=True)
class QueueTrend:
    """A queue over the last 15 minutes: tasks not started yet, and tasks per second in and out."""

    waiting: Series = ()
    into: Series = ()
    out: Series = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The cluster as the last look that succeeded saw it.

    ``at`` is the server's time in seconds since the epoch (None before the first look), ``seen`` the same
    instant by this process's monotonic clock. ``error`` says why the latest look failed; None if it did not.
    ``placements`` are tasks placed on a node by strategy, ``speeds`` a node's against the others'. ``events``
    and ``dead`` come latest first; ``dead_count`` counts also those that ``dead`` leaves out.
    """

    at: float | None = None
    seen: float = 0.0
    error: str | None = None
    nodes: tuple[Node, ...] = ()
    queues: tuple[QueueDepth, ...] = ()
    counters: Counters = field(default_factory=Counters)
    placements: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    speeds: Mapping[str, float] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    dead: tuple[DeadSummary, ...] = ()
    dead_count: int = 0
    rates: Mapping[str, Rates] = field(default_factory=dict)
    node_trends: Mapping[str, NodeTrend] = field(default_factory=dict)
    queue_trends: Mapping[str, QueueTrend] = field(default_factory=dict)

    def age(self, now: float) -> float | None:
        """Seconds since the last look that succeeded; ``now`` is this process's monotonic clock."""
        return None if self.at is None else max(now - self.seen, 0.0)
