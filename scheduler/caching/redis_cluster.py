"""The store on a Redis Cluster: that engine shards, replicates and fails over; we add deadlines and breakers.

What it promises of a deleted key is what Redis Cluster promises: a failover may lose the last writes.
An entry is ``<ms that it is kept on as stale: 10 digits><payload>``, so one is fresh while its TTL is longer.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.exceptions import RedisClusterException, RedisError
from redis.retry import Retry

from scheduler.caching.addresses import server_name
from scheduler.caching.breaker import Breaker, Decision
from scheduler.caching.deadline import Deadline
from scheduler.caching.figures import Counters
from scheduler.caching.keys import CacheKeys
from scheduler.caching.store import Found, Lifetime, ServerState, Standing
from scheduler.scripts import script

logger = logging.getLogger(__name__)

#: What redis-py raises when a cluster fails.
_FAILURES = (RedisError, RedisClusterException, OSError)
#: Tries and looks at the layout that redis-py may make of one call, each up to the socket's timeout.
_TRIES = 4
_STALE = 10
#: Keys that one step of clearing looks at.
_SCAN_COUNT = 500

#: A command's name and arguments.
Call = tuple[Any, ...]


class ClusterStore:
    """A Redis Cluster as a store; ``url`` names any of its nodes. It is connected to when first used."""

    def __init__(self, url: str, keys: CacheKeys, deadline: float, counters: Counters) -> None:
        server_name(url)
        self._url = url
        self._keys = keys
        self._timeout = deadline / _TRIES
        self._counters = counters
        self._breakers: dict[str, Breaker] = defaultdict(Breaker)
        self._opening = threading.Lock()
        self._opened: Any = None

    def read(self, keys: Sequence[str], deadline: Deadline) -> Found:
        """What is there of these keys."""
        replies = self._run({key: ("GET", self._keys.entry(key)) for key in keys}, deadline)
        there = {key: raw for key, raw in replies.items() if raw is not None}
        kept_on = {key: int(raw[:_STALE]) for key, raw in there.items() if raw[:_STALE].strip(b"0")}
        left = self._run({key: ("PTTL", self._keys.entry(key)) for key in kept_on}, deadline)
        stale = {key for key, for_ms in kept_on.items() if left.get(key, 0) <= for_ms}
        return Found(
            {key: raw[_STALE:] for key, raw in there.items() if key not in stale},
            {key: there[key][_STALE:] for key in stale},
        )

    def write(self, payloads: Mapping[str, bytes], lifetime: Lifetime, deadline: Deadline) -> bool:
        """Whether every entry reached the cluster."""
        stale = int(lifetime.stale * 1000)
        calls = {
            key: (
                "SET",
                self._keys.entry(key),
                b"%010d%s" % (stale, payload),
                "PX",
                lifetime.fresh_ms() + stale,
            )
            for key, payload in payloads.items()
        }
        return len(self._run(calls, deadline)) == len(calls)

    def remove(self, key: str, deadline: Deadline) -> bool:
        """Whether the removal reached the cluster."""
        return bool(self._run({key: ("DEL", self._keys.entry(key))}, deadline))

    def claim(self, key: str, token: str, lease: float, deadline: Deadline) -> bool | None:
        """Claim a computation; None if the cluster does not answer."""
        call = ("SET", self._keys.claim(key), token, "NX", "PX", max(1, int(lease * 1000)))
        replies = self._run({key: call}, deadline)
        return bool(replies[key]) if replies else None

    def release(self, key: str, token: str, deadline: Deadline) -> None:
        """Give a claim back."""
        self._run({key: ("EVAL", script("cache_release").source, 1, self._keys.claim(key), token)}, deadline)

    def clear(self, deadline: Deadline) -> bool:
        """Forget every entry, a key at a time: this may take longer than the deadline of other operations."""
        client = self._client()
        if client is None:
            return False
        try:
            for name in client.scan_iter(self._keys.entries + "*", count=_SCAN_COUNT):
                client.unlink(name)
        except _FAILURES as exc:
            self._failed("", exc)
            return False
        return True

    def owners(self, key: str) -> list[str]:
        """The primary of the key's slot, as far as is known."""
        client = self._client()
        return [_node_of(client, self._keys.entry(key))] if client else []

    def states(self) -> list[ServerState]:
        """Each primary, asked now; what is known of the cluster by its URL if it does not answer."""
        client = self._client()
        if client is None:
            return [ServerState(server_name(self._url), 1, Standing.AWAY)]
        return [self._state(client, node) for node in client.get_primaries()]

    def close(self) -> None:
        """Let go of the connections."""
        if self._opened is not None:
            self._opened.close()

    def _state(self, client: Any, node: Any) -> ServerState:
        try:
            entries = client.dbsize(target_nodes=node)
            memory = client.info("memory", target_nodes=node)["used_memory"]
        except _FAILURES:
            return ServerState(node.name, 1, Standing.AWAY)
        return ServerState(node.name, 1, Standing.UP, int(entries), int(memory))

    def _run(self, calls: Mapping[str, Call], deadline: Deadline) -> dict[str, Any]:
        """The replies of those calls, by key, that were answered in time."""
        client = self._client() if calls and deadline.left() else None
        if client is None:
            return {}
        nodes = {
            key: _node_of(client, call[3] if call[0] == "EVAL" else call[1]) for key, call in calls.items()
        }
        now = time.monotonic()
        skipped = {name for name in set(nodes.values()) if self._decide(name, now) is Decision.SKIP}
        asked = [key for key, name in nodes.items() if name not in skipped]
        replies = self._pipelined(client, [calls[key] for key in asked])
        return self._sorted_out(dict(zip(asked, replies, strict=True)), nodes)

    def _pipelined(self, client: Any, calls: Sequence[Call]) -> Iterable[Any]:
        if len(calls) == 1:
            return [_caught(lambda: client.execute_command(*calls[0]))]
        pipe = client.pipeline()
        for call in calls:
            pipe.execute_command(*call)
        replies = _caught(lambda: pipe.execute(raise_on_error=False)) if calls else []
        return [replies] * len(calls) if isinstance(replies, Exception) else list(replies)

    def _sorted_out(self, replies: Mapping[str, Any], nodes: Mapping[str, str]) -> dict[str, Any]:
        failures = {nodes[key]: reply for key, reply in replies.items() if isinstance(reply, Exception)}
        for name, exc in failures.items():
            self._failed(name, exc)
        for name in {nodes[key] for key in replies} - set(failures):
            if self._breakers[name].succeeded():
                logger.info("cache cluster node %s answers again", name)
        return {key: reply for key, reply in replies.items() if not isinstance(reply, Exception)}

    def _client(self) -> Any:
        """The cluster's client; None, counted, if the cluster cannot be reached."""
        if self._opened is not None:
            return self._opened
        with self._opening:
            if self._opened is None and self._decide("", time.monotonic()) is not Decision.SKIP:
                opened = _caught(self._open)
                if isinstance(opened, Exception):
                    self._failed("", opened)
                else:
                    self._opened = opened
        return self._opened

    def _open(self) -> Any:
        return RedisCluster.from_url(
            self._url.replace("+cluster", "", 1),
            socket_timeout=self._timeout,
            socket_connect_timeout=self._timeout,
            retry=Retry(NoBackoff(), 1),
            require_full_coverage=False,
        )

    def _decide(self, node: str, now: float) -> Decision:
        return self._breakers[node].decide(now)

    def _failed(self, node: str, exc: Exception) -> None:
        self._counters.failed()
        if self._breakers[node].failed(time.monotonic()):
            where = f"node {node}" if node else f"at {server_name(self._url)}"
            logger.warning("cache cluster %s is left out: %s; its keys are misses", where, exc)


def _node_of(client: Any, name: str) -> str:
    node = client.get_node_from_key(name)
    return str(node.name) if node else ""


def _caught(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except _FAILURES as exc:
        return exc
