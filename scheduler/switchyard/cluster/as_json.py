"""Nodes, queues and tasks given up on as plain JSON, the same for ``--json`` and the dashboard's API."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

from switchyard.cluster.keys import Keys
from switchyard.cluster.replies.strangers import UNREADABLE
from switchyard.models import DeadTask, Load, Node, QueueDepth

#: Characters of a task's arguments that a list shows.
ARGUMENTS_MAX = 1000
_LOAD_FIELDS = tuple(field.name for field in fields(Load))


@dataclass(frozen=True, slots=True)
class DeadSummary:
    """What a list shows of a task that was given up on. One that can't be read has no ``task`` and ``id``."""

    receipt: str
    task: str | None
    id: str | None
    args: str | None
    kwargs: str | None
    queue: str
    deaths: int
    nodes: tuple[str, ...]
    reason: str
    at: float


def node_document(node: Node) -> dict[str, Any]:
    """A node with all that it says of itself."""
    return {
        "name": node.name,
        "state": str(node.state),
        "slots": node.slots,
        "limit": node.limit,
        "outstanding": node.outstanding,
        "inbox": node.inbox,
        "claims": node.claims,
        "queues": sorted(node.queues),
        "labels": dict(node.labels),
        "lease_age": node.lease_age,
        # Not asdict, which would copy the run times of all tasks only for some readers to leave them out.
        "load": {name: getattr(node.load, name) for name in _LOAD_FIELDS},
        "hostname": node.hostname,
        "pid": node.pid,
        "versions": dict(node.versions),
    }


def queue_document(depth: QueueDepth) -> dict[str, Any]:
    """A queue and its depth."""
    return {
        "name": depth.name,
        "waiting": depth.waiting,
        "placed": depth.placed,
        "claimed": depth.claimed,
        "oldest_age": depth.oldest_age,
        "stranded": dict(depth.stranded),
    }


def dead_document(summary: DeadSummary, now: float) -> dict[str, Any]:
    """A task given up on, ``now`` in seconds since the epoch."""
    document = {**asdict(summary), "nodes": list(summary.nodes), "age": round(max(now - summary.at, 0.0), 3)}
    del document["at"]
    return document


def summarize(keys: Keys, dead: DeadTask) -> DeadSummary:
    """What can be read of a task given up on, whatever its message looks like."""
    headers = _headers(dead.message)
    return DeadSummary(
        receipt=dead.receipt,
        task=_shown(headers.get("task")),
        id=_shown(headers.get("id")),
        args=_shown(headers.get("argsrepr")),
        kwargs=_shown(headers.get("kwargsrepr")),
        queue=keys.queue_of(dead.home),
        deaths=dead.deaths,
        nodes=dead.nodes,
        reason=dead.reason,
        at=dead.at,
    )


def message_text(dead: DeadTask) -> str:
    """The message as text, also if it is none."""
    return dead.message.decode(errors="replace")


def _headers(message: bytes) -> dict[str, Any]:
    try:
        headers = json.loads(message)["headers"]
    except UNREADABLE:
        return {}
    return headers if isinstance(headers, dict) else {}


def _shown(value: Any) -> str | None:
    if value is None:
        return None
    text = str(value)
    return text if len(text) <= ARGUMENTS_MAX else text[: ARGUMENTS_MAX - 1] + "…"
