"""A snapshot as the JSON documents of ``openapi.json``. Ages are those of the moment of writing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from switchyard.cluster.as_json import dead_document, node_document, queue_document
from switchyard.flower.history import POINTS, STEP
from switchyard.flower.snapshot import NodeTrend, QueueTrend, Rates, Snapshot
from switchyard.models import Event, Node, NodeState, QueueDepth

#: Events that the document of the pages carries, and that of one node.
CLUSTER_EVENTS, NODE_EVENTS = 50, 100
#: What a list leaves out of a node, and what it leaves out of its load: only a node's own document has them.
_WHOLE = ("hostname", "pid", "versions")
_WHOLE_LOAD = ("runtimes", "settled")
_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Documents:
    """What to say of a snapshot that is ``age`` seconds old (None if there was no look yet)."""

    snapshot: Snapshot
    age: float | None

    def cluster(self, read_only: bool) -> dict[str, Any]:
        """All that the pages refresh from."""
        return {
            "look": self.look(),
            "read_only": read_only,
            "cards": self.cards(),
            "trend": self.trend(),
            "nodes": self.nodes(),
            "queues": self.queues(),
            "events": self.events(CLUSTER_EVENTS),
        }

    def look(self) -> dict[str, Any]:
        """How old all this is, and why it is not newer."""
        return {"at": self.snapshot.at, "age": _rounded(self.age), "error": self.snapshot.error}

    @staticmethod
    def trend() -> dict[str, Any]:
        """What all series have in common."""
        return {"step": STEP, "points": POINTS}

    def cards(self) -> dict[str, Any]:
        """The cluster in some figures."""
        snapshot = self.snapshot
        states = Counter(node.state for node in snapshot.nodes)
        alive = [node for node in snapshot.nodes if node.state is not NodeState.LOST]
        return {
            "nodes": len(snapshot.nodes),
            "nodes_up": states[NodeState.UP],
            "nodes_draining": states[NodeState.DRAINING],
            "nodes_lost": states[NodeState.LOST],
            "slots": sum(node.slots for node in alive),
            "busy": sum(node.busy for node in alive),
            "free": sum(node.free for node in alive),
            "waiting": sum(queue.waiting for queue in snapshot.queues),
            "placed": sum(queue.placed for queue in snapshot.queues),
            "claimed": sum(queue.claimed for queue in snapshot.queues),
            "restored_last_hour": self._last_hour("restored"),
            "given_up_last_hour": self._last_hour("given up"),
            "dead": snapshot.dead_count,
        }

    def nodes(self) -> list[dict[str, Any]]:
        """Every node, without what only its own document has."""
        return [self._brief(node) for node in self.snapshot.nodes]

    def node(self, name: str) -> dict[str, Any] | None:
        """One node whole; None if the snapshot has none of this name."""
        node = next((node for node in self.snapshot.nodes if node.name == name), None)
        if node is None:
            return None
        whole = self._whole(node)
        events = (event for event in self.snapshot.events if event.node == name)
        load = {key: value for key, value in whole["load"].items() if key not in _WHOLE_LOAD}
        split = {key: dict(whole["load"][key]) for key in _WHOLE_LOAD}
        return {**whole, "load": load, **split, "events": self._events(events, NODE_EVENTS)}

    def queues(self) -> list[dict[str, Any]]:
        """Every queue."""
        served = Counter(
            name for node in self.snapshot.nodes if node.state is NodeState.UP for name in node.queues
        )
        return [self._queue(queue, served[queue.name]) for queue in self.snapshot.queues]

    def events(self, limit: int, node: str | None = None) -> list[dict[str, Any]]:
        """The latest events, of one node or of all."""
        return self._events((e for e in self.snapshot.events if node in (None, e.node)), limit)

    def dead(self) -> list[dict[str, Any]]:
        """The latest tasks given up on."""
        return [dead_document(summary, self._now()) for summary in self.snapshot.dead]

    def _brief(self, node: Node) -> dict[str, Any]:
        whole = self._whole(node)
        load = {key: value for key, value in whole["load"].items() if key not in _WHOLE_LOAD}
        return {**{key: value for key, value in whole.items() if key not in _WHOLE}, "load": load}

    def _whole(self, node: Node) -> dict[str, Any]:
        trend = self.snapshot.node_trends.get(node.name, NodeTrend())
        return {
            **node_document(node),
            "busy": node.busy,
            "free": node.free,
            "lease_age": _rounded(node.lease_age + (self.age or 0.0)),
            "speed": self.snapshot.speeds.get(node.name),
            "placements": dict(self.snapshot.placements.get(node.name, {})),
            "trend": {"busy": trend.busy, "cpu": trend.cpu},
        }

    def _queue(self, queue: QueueDepth, nodes: int) -> dict[str, Any]:
        oldest = None if queue.oldest_age is None else _rounded(queue.oldest_age + (self.age or 0.0))
        rates = self.snapshot.rates.get(queue.name, Rates())
        trend = self.snapshot.queue_trends.get(queue.name, QueueTrend())
        return {
            **queue_document(queue),
            "oldest_age": oldest,
            "nodes": nodes,
            "in": round(rates.into, 2),
            "out": round(rates.out, 2),
            "trend": {"waiting": trend.waiting, "in": trend.into, "out": trend.out},
        }

    def _events(self, events: Iterable[Event], limit: int) -> list[dict[str, Any]]:
        now = self._now()
        return [
            {
                "id": event.id,
                "kind": event.kind,
                "node": event.node,
                "count": event.count,
                "at": event.at,
                "age": round(max(now - event.at, 0.0), 3),
            }
            for event, _ in zip(events, range(limit), strict=False)
        ]

    def _last_hour(self, kind: str) -> int:
        since = self._now() - _HOUR
        return sum(event.count for event in self.snapshot.events if event.kind == kind and event.at > since)

    def _now(self) -> float:
        """The server's time, as far as the last look tells."""
        return (self.snapshot.at or 0.0) + (self.age or 0.0)


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
