"""How deep each queue is, counted where the tasks are: shared queues, wait lists, inboxes, claims."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from switchyard.cluster.keys import Keys
from switchyard.cluster.replies.decoding import texts
from switchyard.cluster.replies.strangers import UNREADABLE
from switchyard.cluster.state import State
from switchyard.cluster.wait_lists import WaitList
from switchyard.models import Node, NodeState, QueueDepth, Selector


@dataclass(slots=True)
class _Tally:
    """What was counted of one queue so far; ``oldest`` is when its oldest task was published."""

    waiting: int = 0
    placed: int = 0
    claimed: int = 0
    oldest: float | None = None
    stranded: dict[str, int] = field(default_factory=dict)

    def see(self, message: bytes | None) -> None:
        published = published_at(message)
        if published is not None:
            self.oldest = published if self.oldest is None else min(self.oldest, published)

    def depth(self, name: str, now: float) -> QueueDepth:
        age = None if self.oldest is None else round(max(now - self.oldest, 0.0), 3)
        return QueueDepth(name, self.waiting, self.placed, self.claimed, age, self.stranded)


@dataclass(frozen=True, slots=True)
class Survey:
    """The nodes and the queues as they were at ``now``, the server's time in seconds since the epoch."""

    now: float
    nodes: tuple[Node, ...]
    queues: tuple[QueueDepth, ...]


def survey(state: State) -> Survey:
    """Every node, and every queue that a node ever served or a task was left on, in name order.

    Some round trips, however many nodes and queues there are: a task that moves meanwhile may be counted
    twice or not at all. Raises redis-py's errors.
    """
    now, nodes, waits = state.now_ms() / 1000, sorted(state.snapshot(), key=_name), state.wait_rows().read
    tallies = {name: _Tally() for name in _queue_names(state, nodes, waits)}
    _count_lists(state, nodes, waits, tallies)
    _count_nodes(state, [node.name for node in nodes if node.outstanding], tallies)
    queues = tuple(tally.depth(name, now) for name, tally in sorted(tallies.items()))
    return Survey(now, tuple(nodes), queues)


def queue_depths(state: State) -> list[QueueDepth]:
    """The queues of a :func:`survey`."""
    return list(survey(state).queues)


def _name(node: Node) -> str:
    return node.name


def shared_lists(keys: Keys, queue: str) -> list[str]:
    """The keys of kombu's lists for a queue, the most urgent first."""
    return [keys.shared(name) for name in keys.lists.of(queue)]


def can_run(nodes: Iterable[Node], queue: str, selector: Selector) -> bool:
    """Whether a node that is up serves the queue and is one that the selector allows."""
    return any(
        node.state is NodeState.UP and queue in node.queues and selector.allows(node.name, node.labels)
        for node in nodes
    )


def published_at(message: bytes | None) -> float | None:
    """When a message was published, in seconds since the epoch; None if it does not say."""
    try:
        stamp = json.loads(message or b"")["properties"]["timestamp"]
    except UNREADABLE:
        return None
    is_number = isinstance(stamp, int | float) and not isinstance(stamp, bool)
    return float(stamp) if is_number and math.isfinite(stamp) else None


def _queue_names(state: State, nodes: Iterable[Node], waits: Iterable[WaitList]) -> set[str]:
    known = set(texts(state.client.smembers(state.keys.queues)))
    served = {queue for node in nodes if node.state is not NodeState.LOST for queue in node.queues}
    return known | served | {wait.queue for wait in waits}


def _count_lists(state: State, nodes: list[Node], waits: list[WaitList], tallies: dict[str, _Tally]) -> None:
    lists = [(queue, key) for queue in tallies for key in shared_lists(state.keys, queue)]
    lists += [(wait.queue, wait.key) for wait in waits]
    pipeline = state.client.pipeline(transaction=False)
    for _, key in lists:
        pipeline.llen(key)
        pipeline.lindex(key, -1)
    replies = iter(pipeline.execute(raise_on_error=False))
    selectors = {wait.key: wait.selector for wait in waits}
    for (queue, key), length, oldest in zip(lists, replies, replies, strict=True):
        if isinstance(length, Exception) or isinstance(oldest, Exception):
            continue  # a key of that name which is no list
        tallies[queue].waiting += length
        tallies[queue].see(oldest)
        if key in selectors and length:
            _add_stranded(tallies[queue], nodes, queue, selectors[key], length)


def _add_stranded(tally: _Tally, nodes: list[Node], queue: str, selector: Selector, length: int) -> None:
    if not can_run(nodes, queue, selector):
        text = str(selector)
        tally.stranded[text] = tally.stranded.get(text, 0) + length


def _count_nodes(state: State, names: Sequence[str], tallies: dict[str, _Tally]) -> None:
    for placed, claimed in state.depths(names).values():
        for depth in placed:
            tally = tallies.setdefault(state.keys.queue_of(depth.home), _Tally())
            tally.placed += depth.count
            tally.see(depth.oldest)
        for depth in claimed:
            tally = tallies.setdefault(state.keys.queue_of(depth.home), _Tally())
            tally.claimed += depth.count
            tally.see(depth.oldest)
