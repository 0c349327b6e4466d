"""The store on a Redis Cluster: that engine shards, replicates and fails over; we add deadlines and breakers.

What it promises of a deleted key is what Redis Cluster promises: a failover may lose the last writes.
An entry is ``<ms that it is kept on as stale: 13 digits><payload>``, so one is fresh while its TTL is longer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from switchyard.cache.figures import Counters
from switchyard.cache.keys import CacheKeys, require_text
from switchyard.cache.redis_cluster.nodes import Call, ClusterNodes, node_of
from switchyard.cache.store import Deadline, Found, Lifetime, ServerState, Standing
from switchyard.lua import script

_STALE = 13
#: Keys that one step of clearing looks at.
_SCAN_COUNT = 500
#: Longest that clearing may take, in seconds. Some 100,000 keys go in one of them, and another call goes on.
CLEAR_S = 60.0


class ClusterStore:
    """A Redis Cluster as a store; ``url`` names any of its nodes. It is connected to when first used.

    ``deadline``: seconds that a look at the nodes may take.
    """

    def __init__(self, url: str, keys: CacheKeys, deadline: float, counters: Counters) -> None:
        self._keys = keys
        self._deadline = deadline
        self._nodes = ClusterNodes(url, deadline, counters)

    def read(self, keys: Sequence[str], deadline: Deadline) -> Found:
        """What is there of these keys."""
        entries = {key: self._entry(key) for key in keys}
        replies = self._nodes.ask({key: Call(name, ("GET", name)) for key, name in entries.items()}, deadline)
        there = {key: raw for key, raw in replies.items() if raw and raw[:_STALE].isdigit()}
        kept_on = {key: int(raw[:_STALE]) for key, raw in there.items() if raw[:_STALE].strip(b"0")}
        left = self._nodes.ask({key: Call(entries[key], ("PTTL", entries[key])) for key in kept_on}, deadline)
        stale = {key for key, for_ms in kept_on.items() if left.get(key, 0) <= for_ms}
        return Found(
            {key: raw[_STALE:] for key, raw in there.items() if key not in stale},
            {key: there[key][_STALE:] for key in stale},
        )

    def write(self, payloads: Mapping[str, bytes], lifetime: Lifetime, deadline: Deadline) -> bool:
        """Whether every entry reached the cluster."""
        stale = int(lifetime.stale * 1000)
        calls = {}
        for key, payload in payloads.items():
            name = self._entry(key)
            entry = b"%013d%s" % (stale, payload)
            calls[key] = Call(name, ("SET", name, entry, "PX", lifetime.fresh_ms() + stale))
        return self._nodes.write(calls, deadline)

    def remove(self, key: str, deadline: Deadline) -> bool:
        """Whether the removal reached the cluster."""
        name = self._entry(key)
        return bool(self._nodes.ask({key: Call(name, ("DEL", name))}, deadline))

    def claim(self, key: str, token: str, hold: float, deadline: Deadline) -> bool | None:
        """Claim a computation; None if the cluster does not answer."""
        name = self._keys.claim(key)
        call = Call(name, ("SET", name, token, "NX", "PX", max(1, int(hold * 1000))))
        replies = self._nodes.ask({key: call}, deadline)
        return bool(replies[key]) if replies else None

    def release(self, key: str, token: str, deadline: Deadline) -> None:
        """Give a claim back."""
        name = self._keys.claim(key)
        call = Call(name, ("EVAL", script("cache/release").source, 1, name, token))
        self._nodes.ask({key: call}, deadline)

    def clear(self, deadline: Deadline) -> bool:
        """Forget every entry; whether all are gone. They must be found first, which may take ``CLEAR_S``."""
        if self._nodes.client(deadline) is None:
            return False
        until = Deadline.after(CLEAR_S)

        def forget(client: Any, node: Any) -> bool:
            primary, cursor = client.get_redis_connection(node), 0
            while until.left():
                cursor, names = primary.scan(cursor, self._keys.entries + "*", _SCAN_COUNT)
                pipe = primary.pipeline(transaction=False)
                for name in names:
                    pipe.unlink(name)
                pipe.execute()
                if not cursor:
                    return True
            return False

        done = self._nodes.each(forget, until)
        return bool(done) and all(done.values())

    def owners(self, key: str) -> list[str]:
        """The primary of the key's slot, as far as is known."""
        client = self._nodes.client(Deadline.after(self._deadline))
        owner = node_of(client, self._entry(key)) if client else None
        return [owner] if owner else []

    def states(self) -> list[ServerState]:
        """Each primary, asked now; what is known of the cluster by its URL if it does not answer."""
        found = self._nodes.each(_state, Deadline.after(self._deadline))
        return [state or ServerState(name, 1, Standing.AWAY) for name, state in found.items()] or [
            ServerState(self._nodes.name, 1, Standing.AWAY)
        ]

    def close(self) -> None:
        """Let go of the connections."""
        self._nodes.close()

    def _entry(self, key: str) -> str:
        return self._keys.entry(require_text(key))


def _state(client: Any, node: Any) -> ServerState:
    keys = client.dbsize(target_nodes=node)
    memory = client.info("memory", target_nodes=node)["used_memory"]
    return ServerState(node.name, 1, Standing.UP, int(keys), int(memory))
