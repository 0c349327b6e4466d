"""The nodes of a Redis Cluster, asked within a deadline and left out by breakers.

redis-py's client knows the layout and follows what moves. Its own calls may look at the layout again, node by
node and one caller after the other, so they are made behind a bulkhead.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.exceptions import (
    AskError,
    ClusterDownError,
    RedisClusterException,
    RedisError,
    ResponseError,
    SlotNotCoveredError,
    TryAgainError,
)
from redis.retry import Retry

from scheduler.caching.addresses import server_name
from scheduler.caching.breaker import Breaker, Decision
from scheduler.caching.bulkhead import Bulkhead
from scheduler.caching.deadline import Deadline
from scheduler.caching.figures import Counters
from scheduler.caching.refusals import Refusals

logger = logging.getLogger(__name__)

#: What redis-py raises when a cluster fails.
FAILURES = (RedisError, RedisClusterException, OSError)

#: In place of a node's name: the cluster as a whole, and slots that no node has.
_CLUSTER = ""

#: What a node answered, by key.
Replies = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """A command, and the name in its keys that says which node it is for."""

    name: str
    command: tuple[Any, ...]


class ClusterNodes:
    """A cluster that any of its nodes leads to. Connected to when first used; ``deadline`` is in seconds."""

    def __init__(self, url: str, deadline: float, counters: Counters, refusals: Refusals) -> None:
        self.name = server_name(url)
        self._url = url
        self._deadline = deadline
        self._counters = counters
        self._refusals = refusals
        self._breakers: dict[str, Breaker] = defaultdict(Breaker)
        self._bulkhead = Bulkhead()
        self._opening = threading.Lock()
        self._looking = threading.Lock()
        self._client: Any = None

    def ask(self, calls: Mapping[str, Call], deadline: Deadline) -> Replies:
        """The replies that came in time, by key."""
        answered = self._ask_nodes(calls, deadline)
        return {key: reply for replies in answered.values() for key, reply in replies.items()}

    def write(self, calls: Mapping[str, Call], deadline: Deadline) -> bool:
        """Whether every one of these writes was done in time."""
        answered = self._ask_nodes(calls, deadline)
        for node, replies in answered.items():
            if replies:
                self._refusals.taken(self._where(node))
        return sum(map(len, answered.values())) == len(calls)

    def run(self, calls: Mapping[str, Callable[[], Any]], deadline: Deadline) -> dict[str, Any]:
        """What other calls to nodes returned or raised, made at the same time."""
        return self._bulkhead.run(calls, deadline)

    def client(self, deadline: Deadline) -> Any:
        """redis-py's client; None, counted, if the cluster cannot be reached in time."""
        if self._client is None and self._opening.acquire(timeout=deadline.left()):
            try:
                if self._client is None and self._admits(_CLUSTER):
                    self._open(deadline)
            finally:
                self._opening.release()
        return self._client

    def failed(self, node: str, exc: Exception) -> None:
        """Count a failure of a node, or of the cluster as a whole."""
        self._counters.failed()
        if isinstance(exc, ResponseError):
            self._refusals.refused(self._where(node), exc)
        if self._breakers[node].failed(time.monotonic()):
            logger.warning("cache %s is left out: %s; its keys are misses", self._where(node), exc)

    def close(self) -> None:
        """Let go of threads and connections."""
        self._bulkhead.close()
        if self._client is not None:
            self._client.close()

    def _open(self, deadline: Deadline) -> None:
        opened = self._bulkhead.run({_CLUSTER: self._connected}, deadline)[_CLUSTER]
        if isinstance(opened, Exception):
            self.failed(_CLUSTER, opened)
        else:
            self._client = opened
            self._breakers[_CLUSTER].succeeded()

    def _connected(self) -> Any:
        return RedisCluster.from_url(
            self._url.replace("+cluster", "", 1),
            socket_timeout=self._deadline,
            socket_connect_timeout=self._deadline,
            retry=Retry(NoBackoff(), 1),
            require_full_coverage=False,
        )

    def _where(self, node: str) -> str:
        return f"cluster node {node}" if node else f"cluster at {self.name}"

    def _admits(self, node: str) -> bool:
        return self._breakers[node].decide(time.monotonic()) is not Decision.SKIP

    def _ask_nodes(self, calls: Mapping[str, Call], deadline: Deadline) -> dict[str, Replies]:
        """What each node answered that is not left out."""
        client = self.client(deadline) if calls else None
        if client is None:
            return {}
        groups: dict[str, dict[str, Call]] = defaultdict(dict)
        for key, call in calls.items():
            groups[node_of(client, call.name)][key] = call
        asked = {
            node: partial(self._ask_node, client, node, group)
            for node, group in groups.items()
            if self._admits(node)
        }
        outcomes = self._bulkhead.run(asked, deadline)
        return {node: self._judged(node, outcome) for node, outcome in outcomes.items()}

    def _ask_node(self, client: Any, node: str, calls: Mapping[str, Call]) -> Replies:
        """The replies of one node; what it sends elsewhere is asked there."""
        if node == _CLUSTER:
            self._look_again(client)
            return {key: _caught(client, call) for key, call in calls.items()}
        pipe = client.get_redis_connection(client.get_node(node_name=node)).pipeline(transaction=False)
        for call in calls.values():
            pipe.execute_command(*call.command)
        try:
            replies = pipe.execute(raise_on_error=False)
        except FAILURES:
            self._look_again(client)
            raise
        if any(isinstance(reply, ClusterDownError) for reply in replies):
            self._look_again(client)
        return {
            key: _caught(client, call) if isinstance(reply, AskError | TryAgainError) else reply
            for (key, call), reply in zip(calls.items(), replies, strict=True)
        }

    def _look_again(self, client: Any) -> None:
        """Learn the layout anew, unless another thread is about to."""
        if self._looking.acquire(blocking=False):
            try:
                with suppress(*FAILURES):
                    client.nodes_manager.initialize()
            finally:
                self._looking.release()

    def _judged(self, node: str, outcome: Replies | Exception) -> Replies:
        """The good replies, after counting whether the node is good for anything."""
        if isinstance(outcome, Exception):
            self.failed(node, outcome)
            return {}
        errors = [reply for reply in outcome.values() if isinstance(reply, Exception)]
        if errors:
            self.failed(node, errors[0])
        elif self._breakers[node].succeeded():
            logger.info("cache %s answers again", self._where(node))
        return {key: reply for key, reply in outcome.items() if not isinstance(reply, Exception)}


def node_of(client: Any, name: str) -> str:
    """The node whose slot a name is in; ``""`` if no node has the slot."""
    try:
        return str(client.get_node_from_key(name).name)
    except SlotNotCoveredError:
        return _CLUSTER


def _caught(client: Any, call: Call) -> Any:
    try:
        return client.execute_command(*call.command)
    except FAILURES as exc:
        return exc
