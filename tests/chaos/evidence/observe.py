"""Looks into Redis: what a node holds, whether a limit is broken, what is left when all should be done."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import redis

from switchyard.cluster.depths import shared_lists
from switchyard.cluster.keys import Keys
from switchyard.cluster.state import State
from switchyard.models import NodeState
from tests.chaos.bed.app import QUEUE
from tests.chaos.evidence.verdict import Loss
from tests.support.replies import text, texts

KEYS = Keys()
#: Between two samples of all nodes, in seconds.
_SAMPLE = 0.2
#: Marks the messages that go into an inbox whether the node is full or not.
_UNBOUNDED = b'"strategy": "random"'
#: Events that one look reads at most; the stream is capped at 10,000.
_EVENTS = 20_000


def held(client: redis.Redis, node: str) -> frozenset[str]:
    """Tasks in a node's claims and inbox; nothing if the server does not answer."""
    with suppress(redis.RedisError):
        entries = [*client.hvals(KEYS.claims(node)), *client.zrange(KEYS.inbox(node), 0, -1)]
        return frozenset(task_of(entry) for entry in entries)
    return frozenset()


def left(client: redis.Redis, nodes: Iterable[str]) -> dict[str, str]:
    """Where every task is that Redis still has: of ours and of stock alike."""
    found = {task_of(entry): "unacked" for entry in client.hvals("unacked")}
    lists = [*shared_lists(KEYS, QUEUE), *texts(client.zrange(KEYS.waiting, 0, -1))]
    found |= {task_of(entry): "waiting" for key in lists for entry in client.lrange(key, 0, -1)}
    for node in nodes:
        found |= dict.fromkeys(held(client, node), "held")
    for receipt in texts(client.zrange(KEYS.dead, 0, -1)):
        found[task_of(client.hget(KEYS.dead_entry(receipt), "message") or b"")] = "dead"
    return found


def leftovers(client: redis.Redis) -> list[str]:
    """Keys that must be gone, or empty, when every node has finished and left."""
    patterns = ("inbox:*", "claims:*", "wait:*", "idle:*", "node:*", "bell:*")
    keys = [key for pattern in patterns for key in client.scan_iter(KEYS.prefix + pattern, count=1000)]
    keys += [KEYS.nodes.encode()] if client.zcard(KEYS.nodes) else []
    forever = [key.decode() for key in keys if client.ttl(key) == -1]
    return sorted(forever) + [
        f"{key}: {client.llen(key)}" for key in shared_lists(KEYS, QUEUE) if client.llen(key)
    ]


def not_up(client: redis.Redis, names: Iterable[str]) -> list[str]:
    """Those that the cluster does not list as up."""
    up = {node.name for node in State(client, KEYS).snapshot() if node.state is NodeState.UP}
    return sorted(set(names) - up)


def losses(client: redis.Redis, offset: float) -> list[Loss]:
    """Every time that the cluster declared a node lost. ``offset`` makes wall seconds monotonic ones."""
    events: Any = client.xrange(KEYS.events, count=_EVENTS)
    return [
        Loss(event[b"node"].decode(), int(stamp.partition(b"-")[0]) / 1000 + offset)
        for stamp, event in events
        if event[b"kind"] == b"lost"
    ]


class Watch:
    """A thread that samples the nodes and notes every one over its limit."""

    def __init__(self, client: redis.Redis, slots: Mapping[str, int]) -> None:
        self.over_bound: list[str] = []
        self.over_claimed: list[str] = []
        self.samples = 0
        self._client = client
        self._slots = slots
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="chaos-watch", daemon=True)

    def start(self) -> None:
        """Begin to sample."""
        self._thread.start()

    def stop(self) -> None:
        """End it, if it was begun."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(10)
        self._client.close()

    def _keep(self) -> None:
        while not self._stop.wait(_SAMPLE):
            for node, slots in self._slots.items():
                with suppress(redis.RedisError):
                    self._look(node, slots)

    def _look(self, node: str, slots: int) -> None:
        """Inboxes keep the order of arrival, so unbounded tasks never push a bounded one over."""
        pipeline = self._client.pipeline(transaction=True)
        pipeline.hlen(KEYS.claims(node))
        pipeline.zrange(KEYS.inbox(node), 0, -1)
        claims, inbox = pipeline.execute()
        bounded = sum(_UNBOUNDED not in entry for entry in inbox)
        self.samples += 1
        at = time.monotonic()
        if bounded and claims + bounded > slots:
            self.over_bound.append(f"{node}: {claims} claims + {bounded} bounded > {slots} at {at:.1f}")
        elif claims > slots:
            self.over_claimed.append(f"{node}: {claims} claims > {slots} slots at {at:.1f}")


def task_of(entry: object) -> str:
    """The task's id, out of a message, an inbox member, a claim or kombu's unacked entry."""
    said = text(entry)
    with suppress(ValueError, TypeError, LookupError):
        if said.startswith("["):
            return str(json.loads(said)[0]["headers"]["id"])
        return str(json.loads(said[said.index('{"') :])["headers"]["id"])
    return said[:80]
