"""Gives a server what it missed: what others noted, or all that it owns. Why, is told in healing.py."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence

from switchyard.cache.ring.entry import present, tombstone_stamp
from switchyard.cache.ring.operations import Command
from switchyard.cache.ring.shard import Shard, exchange
from switchyard.cache.ring.shards import Shards

#: Seconds that one step of catching up may take: nobody waits for it.
STEP_S = 2.0
#: Entries that are copied at once: at most so many times the largest value is in memory.
_COPY = 50
#: Steps of one scan: at 500 keys each, more than a server's memory holds.
_SCAN_STEPS = 1_000_000


class CatchingUp:
    """Copies entries between the servers of a ring."""

    def __init__(self, shards: Shards) -> None:
        self._shards = shards
        self._operations = shards.operations

    def act_on_notes(self, reachable: Sequence[Shard]) -> set[Shard]:
        """Act on the notes; the servers that no open note is about."""
        caught_up = set(reachable)
        for source in reachable:
            for notes in self._scan(source, self._operations.notes):
                if notes is None:
                    return set()
                for target, about in self._by_target(notes).items():
                    if target not in caught_up or not self._act_at(source, target, about):
                        caught_up.discard(target)
        return caught_up

    def _by_target(self, notes: Sequence[bytes]) -> dict[Shard, list[tuple[bytes, bytes]]]:
        targets: dict[Shard, list[tuple[bytes, bytes]]] = {}
        for note, value in zip(notes[::2], notes[1::2], strict=True):
            if target := self._shards.named(note.partition(b" ")[0].decode()):
                targets.setdefault(target, []).append((note, value))
        return targets

    def _act_at(self, source: Shard, target: Shard, notes: Sequence[tuple[bytes, bytes]]) -> bool:
        """Give a server what these notes of another say that it missed; whether it has."""
        versions = {note.partition(b" ")[2].decode(): value for note, value in notes if b" " in note}
        for note, life in notes:
            if b" " not in note and not target.look(STEP_S, ended=life or target.life):
                return False
        keys = list(versions)
        for at in range(0, len(keys), _COPY):
            some = keys[at : at + _COPY]
            stamps = self._read(source, some)
            if stamps is None or not self._copy(
                {target: [(key, *stamps.get(key, self._gone(versions[key]))) for key in some]}
            ):
                return False
        dropped = self._operations.drop_notes([part for note in notes for part in note])
        return bool(exchange({source: [dropped]}, STEP_S))

    def _gone(self, version: bytes) -> tuple[bytes, bytes]:
        return tombstone_stamp(version, self._operations.longest_ms), b""

    def fill(self, lacking: Sequence[Shard], sources: Sequence[Shard]) -> set[Shard]:
        """Give servers all that they own; the ones that have it now."""
        lives = {shard: shard.life for shard in lacking}
        token = secrets.token_hex(8)
        claims = exchange({shard: [self._operations.claim_filling(token)] for shard in lacking}, STEP_S)
        targets = {shard for shard, (claimed,) in claims.items() if claimed}
        if not targets:
            return set()
        done = all(self._fill_from(source, targets) for source in sources)
        ends = {
            shard: [self._operations.whole(lives[shard])] * done + [self._operations.end_filling()]
            for shard in targets
        }
        return set(exchange(ends, STEP_S)) if done else set()

    def _fill_from(self, source: Shard, targets: set[Shard]) -> bool:
        lacking = targets - {source}
        for names in self._scan(source, self._operations.scan):
            if names is None or not self._fill_keys(source, self._owned_by(lacking, names)):
                return False
            exchange({target: [self._operations.go_on_filling()] for target in targets}, STEP_S)
        return True

    def _owned_by(self, targets: set[Shard], names: Sequence[bytes]) -> dict[str, list[Shard]]:
        """The keys of these entries that any of the targets owns, with those that do."""
        skip = len(self._operations.keys.entries)
        keys = [name[skip:].decode() for name in names]
        owners = {key: [shard for shard in self._shards.owners(key) if shard in targets] for key in keys}
        return {key: shards for key, shards in owners.items() if shards}

    def _fill_keys(self, source: Shard, wanted: dict[str, list[Shard]]) -> bool:
        keys = list(wanted)
        for at in range(0, len(keys), _COPY):
            entries = self._read(source, keys[at : at + _COPY])
            if entries is None:
                return False
            batches: dict[Shard, list[tuple[str, bytes, bytes]]] = {}
            for key, (stamp, payload) in entries.items():
                for shard in wanted[key]:
                    batches.setdefault(shard, []).append((key, stamp, payload))
            if not self._copy(batches):
                return False
        return True

    def _read(self, source: Shard, keys: Sequence[str]) -> dict[str, tuple[bytes, bytes]] | None:
        """Stamps and payloads of the keys that are there; None if there was no answer."""
        replies = exchange({source: [self._operations.get(keys)]}, STEP_S).get(source)
        if replies is None:
            return None
        life, *raws = replies[0]
        entries = {key: present(life, raw) for key, raw in zip(keys, raws, strict=True)}
        return {key: (entry.stamp, entry.payload) for key, entry in entries.items() if entry}

    def _copy(self, batches: dict[Shard, list[tuple[str, bytes, bytes]]]) -> bool:
        """Copy entries (key, stamp, payload) to servers; whether all of these answered."""
        commands = {
            shard: [self._operations.copy(*entry) for entry in entries] for shard, entries in batches.items()
        }
        return len(exchange(commands, STEP_S)) == len(batches)

    def _scan(self, shard: Shard, step: Callable[[bytes], Command]) -> Iterator[list[bytes] | None]:
        """What a scan finds, step by step; None and the end if the server does not answer."""
        cursor = b"0"
        for _ in range(_SCAN_STEPS):
            replies = exchange({shard: [step(cursor)]}, STEP_S).get(shard)
            if replies is None:
                yield None
                return
            cursor, found = replies[0]
            yield found
            if cursor == b"0":
                return
