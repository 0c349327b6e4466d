"""Writes: to the first owner that answers, which gives the version; then with that version to the others.

A removal is a write of a tombstone. An owner that was left out or failed is noted at those that took the
write, so that it is given what it missed before it is trusted again: see healing.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from switchyard.cache.ring.entry import KEPT_VALUE, TOMBSTONE, VALUE
from switchyard.cache.ring.operations import Command
from switchyard.cache.ring.shard import Shard, exchange
from switchyard.cache.ring.shards import Shards
from switchyard.cache.store import Deadline, Lifetime

#: Times that one write is repeated because an owner held a newer version than the first one gave.
_ATTEMPTS = 3
_LOWEST = b"0" * 16


@dataclass(slots=True)
class Write:
    """One entry, on its way to its owners."""

    key: str
    payload: bytes
    owners: tuple[Shard, ...]
    #: Version that the next attempt must exceed.
    above: bytes = _LOWEST
    stamp: bytes = b""
    tried: set[Shard] = field(default_factory=set)
    took: list[Shard] = field(default_factory=list)

    @property
    def version(self) -> bytes:
        """What the first owner gave."""
        return self.stamp[:16]

    @property
    def superseded(self) -> bool:
        """Whether an owner knows a newer version."""
        return self.above > self.version

    def next_owner(self) -> Shard | None:
        """The next owner that was not tried and is not left out."""
        for shard in self.owners:
            if shard not in self.tried:
                self.tried.add(shard)
                if shard.admits() and shard.known:
                    return shard
        return None

    def start(self) -> None:
        """Begin an attempt."""
        self.stamp, self.tried, self.took = b"", set(), []


class Writer:
    """Writes to the servers of a ring."""

    def __init__(self, shards: Shards) -> None:
        self._shards = shards
        self._operations = shards.operations

    def write(self, payloads: Mapping[str, bytes], lifetime: Lifetime, deadline: Deadline) -> bool:
        """Whether every entry reached a server."""
        return self._to_owners(payloads, lifetime, KEPT_VALUE if lifetime.stale else VALUE, deadline)

    def remove(self, key: str, deadline: Deadline) -> bool:
        """Whether the removal reached a server. Its tombstone outlives every entry that it may meet."""
        return self._to_owners({key: b""}, Lifetime(self._operations.longest_ms / 1000), TOMBSTONE, deadline)

    def _to_owners(
        self, payloads: Mapping[str, bytes], lifetime: Lifetime, kind: bytes, deadline: Deadline
    ) -> bool:
        writes = [Write(key, payload, self._shards.owners(key)) for key, payload in payloads.items()]
        self._meet(writes, deadline)
        again = writes
        for _ in range(_ATTEMPTS):
            for write in again:
                write.start()
            self._to_first(again, lifetime, kind, deadline)
            self._to_others(again, deadline)
            again = [write for write in again if write.superseded and write.took]
            if not again:
                break
        self._note(writes, deadline)
        return all(write.took for write in writes)

    def _meet(self, writes: list[Write], deadline: Deadline) -> None:
        """Ask the owners that are not known yet; one that does not answer leaves the others time."""
        strangers = {shard for write in writes for shard in write.owners if not shard.known}
        for tries, shard in zip(range(len(strangers), 0, -1), strangers, strict=True):
            if shard.admits():
                shard.look(deadline.left(tries + 1))

    def _to_first(self, writes: list[Write], lifetime: Lifetime, kind: bytes, deadline: Deadline) -> None:
        def command(write: Write, until_ms: int) -> Command:
            return self._operations.put(write.key, lifetime, kind, write.payload, write.above, until_ms)

        def taken(write: Write, reply: bytes) -> bool:
            write.stamp = reply
            return bool(reply)

        while writes:
            self._round(writes, command, taken, deadline)
            writes = [write for write in writes if not write.took and len(write.tried) < len(write.owners)]

    def _to_others(self, writes: list[Write], deadline: Deadline) -> None:
        def command(write: Write, _: int) -> Command:
            return self._operations.copy(write.key, write.stamp, write.payload)

        def taken(write: Write, reply: bytes) -> bool:
            write.above = max(write.above, reply)
            return True

        while writes := [write for write in writes if write.took and len(write.tried) < len(write.owners)]:
            self._round(writes, command, taken, deadline)

    def _round(
        self,
        writes: list[Write],
        command: Callable[[Write, int], Command],
        taken: Callable[[Write, bytes], bool],
        deadline: Deadline,
    ) -> None:
        """Each write to its next owner, all servers at the same time."""
        seconds = deadline.left(2)
        batches: dict[Shard, list[Write]] = {}
        for write in writes:
            if shard := write.next_owner():
                batches.setdefault(shard, []).append(write)
        commands = {
            shard: [command(write, int(shard.now_ms() + seconds * 1000)) for write in batch]
            for shard, batch in batches.items()
        }
        for shard, replies in exchange(commands, seconds).items():
            for write, reply in zip(batches[shard], replies, strict=True):
                if taken(write, reply):
                    write.took.append(shard)
                    shard.took_write()
                else:
                    shard.doubt()

    def _note(self, writes: list[Write], deadline: Deadline) -> None:
        batches: dict[Shard, list[Command]] = {}
        for write in writes:
            missed = [shard for shard in write.owners if shard not in write.took]
            for shard in write.took:
                batches.setdefault(shard, []).extend(
                    self._operations.miss(absent.name, write.key, write.version, absent.life)
                    for absent in missed
                )
        exchange({shard: commands for shard, commands in batches.items() if commands}, deadline.left())
