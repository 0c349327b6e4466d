"""The store on a ring of servers: each key on several of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from switchyard.cache.figures import Counters
from switchyard.cache.keys import CacheKeys
from switchyard.cache.ring.healing import Healing
from switchyard.cache.ring.operations import Command, read_admission
from switchyard.cache.ring.reading import Reader
from switchyard.cache.ring.shard import Replies, Shard, exchange
from switchyard.cache.ring.shards import Shards
from switchyard.cache.ring.writing import Writer
from switchyard.cache.store import Deadline, Found, Lifetime, ServerState, Standing


class Replicated:
    """A ring of servers as a store; ``weights`` by URL. Raises ConfigurationError."""

    def __init__(
        self,
        weights: Mapping[str, int],
        replicas: int,
        keys: CacheKeys,
        longest_ttl: float,
        deadline: float,
        counters: Counters,
    ) -> None:
        self._shards = Shards(weights, replicas, keys, longest_ttl, counters)
        self._operations = self._shards.operations
        self._deadline = deadline
        self._reader = Reader(self._shards, counters)
        self._writer = Writer(self._shards)
        self._healing = Healing(self._shards, deadline)

    def read(self, keys: Sequence[str], deadline: Deadline) -> Found:
        """What is there of these keys."""
        self._healing.ensure_running()
        return self._reader.read(keys, deadline)

    def write(self, payloads: Mapping[str, bytes], lifetime: Lifetime, deadline: Deadline) -> bool:
        """Whether every entry reached a server."""
        self._healing.ensure_running()
        return self._writer.write(payloads, lifetime, deadline)

    def remove(self, key: str, deadline: Deadline) -> bool:
        """Whether the removal reached a server."""
        self._healing.ensure_running()
        return self._writer.remove(key, deadline)

    def claim(self, key: str, token: str, hold: float, deadline: Deadline) -> bool | None:
        """Claim a computation at the first owner that answers; None if none does."""
        reply = self._at_first_owner(key, self._operations.claim(key, token, hold), deadline)
        return None if reply is None else bool(reply[0])

    def release(self, key: str, token: str, deadline: Deadline) -> None:
        """Give a claim back, wherever it was taken."""
        release = self._operations.release(key, token)
        exchange({shard: [release] for shard in self._shards.owners(key) if shard.admits()}, deadline.left())

    def clear(self, deadline: Deadline) -> bool:
        """Forget all that was written so far; a server that is away now forgets when it is back."""
        shards = {shard: [self._operations.admit()] for shard in self._shards if shard.admits()}
        looks = exchange(shards, deadline.left(3))
        if not looks:
            return False
        floor = 1000 * (1 + max(read_admission(reply).now_ms for (reply,) in looks.values()))
        cleared = exchange({shard: [self._operations.clear(floor)] for shard in looks}, deadline.left(2))
        away = [shard for shard in self._shards if shard not in cleared]
        notes = [self._operations.restart(shard.name, shard.life) for shard in away]
        return not notes or (bool(cleared) and bool(exchange(dict.fromkeys(cleared, notes), deadline.left())))

    def owners(self, key: str) -> list[str]:
        """Names of the servers that hold a key, in ring order."""
        return [shard.name for shard in self._shards.owners(key)]

    def states(self) -> list[ServerState]:
        """Each server, asked now."""
        self._healing.ensure_running()
        asked: list[Command] = [self._operations.admit(), ("DBSIZE",), ("INFO", "memory")]
        answered = exchange(dict.fromkeys(self._shards, asked), self._deadline)
        return [_state(shard, answered.get(shard)) for shard in self._shards]

    def close(self) -> None:
        """Stop the healing and close the connections."""
        self._healing.stop()
        for shard in self._shards:
            shard.close()

    def _at_first_owner(self, key: str, command: Command, deadline: Deadline) -> list[Any] | None:
        for shard in sorted(self._shards.owners(key), key=lambda shard: shard.doubted):
            if shard.admits() and (replies := exchange({shard: [command]}, deadline.left(2)).get(shard)):
                return replies
        return None


def _state(shard: Shard, replies: Replies | None) -> ServerState:
    if replies is None:
        return ServerState(shard.name, shard.weight, Standing.AWAY)
    admission = read_admission(replies[0])
    shard.learn(admission.life)
    up = admission.whole and not shard.doubted and shard.breaker.closed
    memory = int(replies[2].partition(b"used_memory:")[2].split(None, 1)[0])
    standing = Standing.UP if up else Standing.FILLING
    return ServerState(shard.name, shard.weight, standing, int(replies[1]), memory)
