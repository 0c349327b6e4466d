"""The nodes of a Redis Cluster, asked within a deadline and left out by breakers.

redis-py's client knows the layout and follows what moves. Its own calls may look at the layout again, node by
node and one caller after the other, so they are made behind a bulkhead.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Set
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.exceptions import (
    AskError,
    ClusterDownError,
    RedisClusterException,
    RedisError,
    SlotNotCoveredError,
    TryAgainError,
)
from redis.retry import Retry

from switchyard.adapters.redis_client import learn_layout
from switchyard.cache.breaker import Breaker, Decision
from switchyard.cache.figures import Counters
from switchyard.cache.redis_cluster.bulkhead import Bulkhead, NotBegunError
from switchyard.cache.refusals import Refusals, is_refusal
from switchyard.cache.store import Deadline
from switchyard.forking import PerProcess, free_after_fork
from switchyard.urls import server_name

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: What redis-py raises when a cluster fails.
_FAILURES = (RedisError, RedisClusterException, OSError)
#: The same for a look at the layout: IndexError is what it raises where no node has a slot.
_NO_LAYOUT = (*_FAILURES, IndexError)

#: In place of a node's name: the cluster as a whole, and the slots that no node has.
_CLUSTER, _NO_NODE = "", "-"
#: What a URL may say that is the cache's to say.
_OURS = ("decode_responses", "socket_timeout", "socket_connect_timeout")

#: Errors that say that a key is, or goes, to another node; MovedError is an AskError.
_ELSEWHERE = (AskError, TryAgainError)

#: What a node answered, by key.
Replies = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """A command, and the name in its keys that says which node it is for."""

    name: str
    command: tuple[Any, ...]


class ClusterNodes:
    """A cluster that any of its nodes leads to. Connected to when first used; ``deadline`` is in seconds."""

    def __init__(self, url: str, deadline: float, counters: Counters) -> None:
        self.name = server_name(url)
        self._url = _without_ours(url.replace("+cluster", "", 1))
        self._deadline = deadline
        self._counters = counters
        self._refusals = Refusals()
        self._breakers: dict[str, Breaker] = defaultdict(Breaker)
        self._bulkhead = Bulkhead()
        self._opening = free_after_fork()
        self._looking = free_after_fork()
        self._client: PerProcess[Any] = PerProcess(lambda: None)

    def ask(self, calls: Mapping[str, Call], deadline: Deadline) -> Replies:
        """The replies that came in time, by key."""
        return _good_of(self._ask_nodes(calls, deadline).values())

    def write(self, calls: Mapping[str, Call], deadline: Deadline) -> bool:
        """Whether every one of these writes, each of which needs memory, was done in time."""
        answered = self._ask_nodes(calls, deadline)
        for node, replies in answered.items():
            refusal = next(filter(is_refusal, replies.values()), None)
            if refusal:
                self._refusals.refused(self._where(node), refusal)
            elif replies:
                self._refusals.taken(self._where(node))
        return len(_good_of(answered.values())) == len(calls)

    def each(self, work: Callable[[Any, Any], T], deadline: Deadline) -> dict[str, T | None]:
        """What this work with the client on a primary came to, by primary; None, counted, if it failed."""
        client = self.client(deadline)
        if client is None:
            return {}
        outcomes = self._bulkhead.run(
            {node.name: partial(work, client, node) for node in client.get_primaries()}, deadline
        )
        return {node: self._good(node, outcome) for node, outcome in outcomes.items()}

    def client(self, deadline: Deadline) -> Any:
        """redis-py's client; None if the cluster is left out, or cannot be reached in time, which counts."""
        if self._client.get() is None and self._opening.acquire(timeout=deadline.left()):
            try:
                if self._client.get() is None and self._admits(_CLUSTER):
                    self._good(_CLUSTER, self._bulkhead.run({_CLUSTER: self._open}, deadline)[_CLUSTER])
            finally:
                self._opening.release()
        return self._client.get()

    def close(self) -> None:
        """Let go of threads and connections."""
        self._bulkhead.close()
        client = self._client.take()
        if client is not None:
            client.close()

    def _open(self) -> None:
        """Connect. One that was too late for its caller is there for the next one."""
        client = RedisCluster.from_url(
            self._url,
            socket_timeout=self._deadline,
            socket_connect_timeout=self._deadline,
            retry=Retry(NoBackoff(), 1),
            require_full_coverage=False,
        )
        if self._bulkhead.closed:
            client.close()
        else:
            self._client.set(client)

    def _where(self, node: str) -> str:
        of = f"cluster at {self.name}"
        return {_CLUSTER: of, _NO_NODE: f"slots without a node, {of},"}.get(node, f"cluster node {node}")

    def _admits(self, node: str) -> bool:
        return self._breakers[node].decide(time.monotonic()) is not Decision.SKIP

    def _ask_nodes(self, calls: Mapping[str, Call], deadline: Deadline) -> dict[str, Replies]:
        """What each node answered that is not left out, errors included; these are counted."""
        client = self.client(deadline) if calls else None
        if client is None:
            return {}
        groups: dict[str, dict[str, Call]] = defaultdict(dict)
        for key, call in calls.items():
            groups[node_of(client, call.name) or _NO_NODE][key] = call
        asked = {
            node: partial(self._ask_node, client, node, group)
            for node, group in groups.items()
            if self._admits(node)
        }
        outcomes = self._bulkhead.run(asked, deadline)
        answered = {node: self._good(node, outcome) or {} for node, outcome in outcomes.items()}
        for replies in answered.values():
            if any(isinstance(reply, Exception) for reply in replies.values()):
                self._counters.failed()
        return answered

    def _ask_node(self, client: Any, node: str, calls: Mapping[str, Call]) -> Replies:
        """The replies of one node; what it sends elsewhere is asked there."""
        if node == _NO_NODE:
            self._look_again(client)
            return {key: client.execute_command(*call.command) for key, call in calls.items()}
        pipe = client.get_redis_connection(client.get_node(node_name=node)).pipeline(transaction=False)
        for call in calls.values():
            pipe.execute_command(*call.command)
        try:
            replies = pipe.execute(raise_on_error=False)
            for reply in replies:
                if isinstance(reply, ClusterDownError):
                    raise reply
        except _FAILURES:
            self._look_again(client)
            raise
        return {
            key: _caught(client, call) if isinstance(reply, _ELSEWHERE) else reply
            for (key, call), reply in zip(calls.items(), replies, strict=True)
        }

    def _look_again(self, client: Any) -> None:
        """Learn the layout anew, unless another thread is about to."""
        if not self._looking.acquire(blocking=False):
            return
        try:
            learn_layout(client)
            self._forget_all_but({_CLUSTER, _NO_NODE, *(node.name for node in client.get_nodes())})
        except _NO_LAYOUT:
            # All nodes may have new addresses, which the client does not know, but the URL may lead to them.
            with suppress(*_NO_LAYOUT):
                self._open()
        finally:
            self._looking.release()

    def _forget_all_but(self, nodes: Set[str]) -> None:
        self._bulkhead.keep(nodes)
        for gone in set(self._breakers) - nodes:
            self._breakers.pop(gone, None)

    def _good(self, node: str, outcome: T | Exception) -> T | None:
        """What a node did; None, counted, if it failed."""
        if not isinstance(outcome, Exception):
            if self._breakers[node].succeeded():
                logger.info("cache %s answers again", self._where(node))
            return outcome
        self._counters.failed()
        if not isinstance(outcome, NotBegunError) and self._breakers[node].failed(time.monotonic()):
            logger.warning("cache %s left out: %s; its keys are misses", self._where(node), outcome)
        return None


def node_of(client: Any, name: str) -> str | None:
    """The node whose slot a name is in; None if no node has the slot."""
    try:
        return str(client.get_node_from_key(name).name)
    except SlotNotCoveredError:
        return None


def _good_of(answered: Iterable[Replies]) -> Replies:
    return {
        key: reply
        for replies in answered
        for key, reply in replies.items()
        if not isinstance(reply, Exception)
    }


def _caught(client: Any, call: Call) -> Any:
    try:
        return client.execute_command(*call.command)
    except _FAILURES as exc:
        return exc


def _without_ours(url: str) -> str:
    parts = urlsplit(url)
    said = [(name, value) for name, value in parse_qsl(parts.query) if name not in _OURS]
    return urlunsplit(parts._replace(query=urlencode(said)))
