"""Reads: from an owner that can be trusted; repairs what the owners asked before it lacked.

An owner that is not in doubt is believed if it has the key, be it as a tombstone. Otherwise the next owner
is asked, and the newest of what was found is the answer. Owners in doubt are asked last, and never believed
alone. Of several owners to trust, one that is asked anyway is asked: each server more costs a read of many
keys as much as fifty keys.
"""

from __future__ import annotations

import operator
from collections import defaultdict
from collections.abc import Container, Sequence
from dataclasses import dataclass, field

from switchyard.cache.figures import Counters
from switchyard.cache.ring.entry import LIFE, Entry, plain_payloads, present
from switchyard.cache.ring.operations import Command
from switchyard.cache.ring.shard import Shard, exchange
from switchyard.cache.ring.shards import Shards
from switchyard.cache.store import Deadline, Found


@dataclass(slots=True)
class Lookup:
    """One key, on its way along its owners."""

    key: str
    #: Owners that have not been asked, the next one last.
    left: list[Shard]
    newest: Entry | None = None
    #: Who had ``newest``.
    source: Shard | None = None
    #: Owners that answered something else, with the life that they answered in.
    others: list[tuple[Shard, bytes]] = field(default_factory=list)
    decided: bool = False

    def take(self, shard: Shard, life: bytes | None, raw: bytes | None) -> None:
        """What a server answered."""
        entry = present(life, raw)
        if entry is None:
            if life is not None:
                self.others.append((shard, life))
            return
        if self.newest is None or entry.version > self.newest.version:
            if self.newest is not None and self.source is not None:
                self.others.append((self.source, self.newest.raw[:LIFE]))
            self.newest, self.source = entry, shard
        elif entry.version < self.newest.version and life is not None:
            self.others.append((shard, life))
        self.decided = not shard.doubted

    def add_to(self, found: Found) -> None:
        """Add the newest value, unless it is a tombstone."""
        if self.newest and self.source and self.newest.is_value:
            fresh = self.newest.fresh_at(self.source.now_ms())
            (found.fresh if fresh else found.stale)[self.key] = self.newest.payload


class Reader:
    """Reads from the servers of a ring."""

    def __init__(self, shards: Shards, counters: Counters) -> None:
        self._shards = shards
        self._operations = shards.operations
        self._counters = counters

    def read(self, keys: Sequence[str], deadline: Deadline) -> Found:
        """What there is of these keys."""
        found, lookups = self._read_first(keys, deadline)
        ask = [lookup for lookup in lookups if not lookup.decided and lookup.left]
        while ask:
            most = max(len(lookup.left) for lookup in ask)
            self._ask(_by_next(ask), deadline.left(most))
            ask = [lookup for lookup in ask if not lookup.decided and lookup.left]
        self._repair(lookups, deadline)
        for lookup in lookups:
            lookup.add_to(found)
        return found

    def _read_first(self, keys: Sequence[str], deadline: Deadline) -> tuple[Found, list[Lookup]]:
        """Ask one owner of each key; what that does not answer at once becomes a lookup."""
        found = Found()
        lookups: list[Lookup] = []
        batches = self._by_server(keys)
        first = {shard: batch for shard, batch in batches.items() if not shard.doubted and shard.admits()}
        commands = {shard: [self._operations.get(batch)] for shard, batch in first.items()}
        replies = exchange(commands, deadline.left(2))
        for shard, batch in batches.items():
            if reply := replies.get(shard):
                self._sort(shard, batch, reply[0], found, lookups)
            else:
                tried = shard if shard in first else None
                lookups += [self._lookup(key, tried) for key in batch]
        return found, lookups

    def _by_server(self, keys: Sequence[str]) -> dict[Shard, list[str]]:
        groups: dict[tuple[Shard, ...], list[str]] = defaultdict(list)
        for key, owners in zip(keys, map(self._shards.owners, keys), strict=True):
            groups[owners].append(key)
        batches: dict[Shard, list[str]] = {}
        for owners, group in groups.items():
            batches.setdefault(_choose(owners, batches), []).extend(group)
        return batches

    def _sort(
        self,
        shard: Shard,
        keys: list[str],
        reply: list[bytes | None],
        found: Found,
        lookups: list[Lookup],
    ) -> None:
        life, *raws = reply
        shard.learn(life)
        believed = not shard.doubted
        if believed and life and (payloads := plain_payloads(life, raws)):
            found.fresh.update(zip(keys, payloads, strict=True))
            return
        for key, raw in zip(keys, raws, strict=True):
            entry = present(life, raw)
            if believed and entry and entry.never_stale:
                found.fresh[key] = entry.payload
            else:
                lookups.append(lookup := self._lookup(key, shard))
                lookup.take(shard, life, raw)

    def _lookup(self, key: str, tried: Shard | None) -> Lookup:
        """A lookup that goes on after this server; servers in doubt come last."""
        left = [shard for shard in reversed(self._shards.owners(key)) if shard is not tried]
        return Lookup(key, sorted(left, key=lambda shard: not shard.doubted))

    def _ask(self, batches: dict[Shard, list[Lookup]], seconds: float) -> None:
        commands = {
            shard: [self._operations.get([lookup.key for lookup in batch])]
            for shard, batch in batches.items()
        }
        for shard, ((life, *entries),) in exchange(commands, seconds).items():
            shard.learn(life)
            for lookup, raw in zip(batches[shard], entries, strict=True):
                lookup.take(shard, life, raw)

    def _repair(self, lookups: list[Lookup], deadline: Deadline) -> None:
        batches: dict[Shard, list[Command]] = defaultdict(list)
        versions: dict[Shard, list[bytes]] = defaultdict(list)
        for lookup in lookups:
            if (newest := lookup.newest) is None:
                continue
            for shard, life in lookup.others:
                command = self._operations.copy(lookup.key, newest.stamp, newest.payload, life[:LIFE])
                batches[shard].append(command)
                versions[shard].append(newest.version)
        if batches:
            # A server that has a newer version by now refuses, and says which.
            for shard, held in exchange(batches, deadline.left()).items():
                self._counters.repaired(sum(map(operator.eq, held, versions[shard])))


def _choose(owners: Sequence[Shard], asked: Container[Shard]) -> Shard:
    trusted = [shard for shard in owners if not shard.doubted] or owners
    return next((shard for shard in trusted if shard in asked), trusted[0])


def _by_next(lookups: list[Lookup]) -> dict[Shard, list[Lookup]]:
    batches: dict[Shard, list[Lookup]] = {}
    for lookup in lookups:
        while lookup.left:
            shard = lookup.left.pop()
            if shard in batches or shard.admits():
                batches.setdefault(shard, []).append(lookup)
                break
    return batches
