"""How a server that was away comes back, and why nothing old comes back with it.

**What may go wrong.** A server restarts empty, or with what it had on disk minutes ago, or pauses and goes
on as if nothing had happened. In the meantime keys were set, replaced and deleted at their other owners.

**Lives.** A server that restarted or was emptied starts a new *life* (lua/includes/begin_life.lua): every
connection begins by asking for it, every read fetches it along with the entry, and entries of another life
do not exist. So what a restarted server kept on disk is never seen. Restarts break connections, so nobody
misses one.

**Versions and tombstones.** Every write has a version that exceeds all that the server which gave it knew of
the key; a delete writes a tombstone with one. An entry is copied with its version, and never over a newer
one. A tombstone is kept for the longest TTL, so it outlives whatever copy it may have to stop: that is why a
repair cannot bring a deleted key back. A repair is further meant for one life of its target, so that it
cannot arrive after a flush took the tombstone.

**Notes.** Who writes leaves a server out only within ``PAUSE_S`` after its own try of that server failed,
and leaves a note of the key at the owners that took the write. The notes outlive the writer.

**Doubt.** What a server has may be older than the truth while notes about it are open, or may still be
written by somebody who has not found out that it is back. So a client doubts a server: at first, when its
life changed, and when it failed. Owners in doubt are asked last, and the newest of all answers wins. Doubt
ends when

1. the life is older than any leave that another client may still be on (``PAUSE_S`` and two deadlines);
2. a deadline has passed since, and notes about it have then been settled: the keys in them were copied from
   where the note was, or made a tombstone if they are gone there;
3. it is *whole*: in this life and on this ring it was given all that it owns, by this client or another.

A server counts as away until then. While at most one is, each key has an owner that took every write.

**What is not promised.** A server that only some clients cannot reach, and that did not restart, may give
the others what it had until any client settles the notes: a look at the servers happens every ``LOOK_S``. A
writer that is killed between two owners has promised nothing. A server list that is changed back within ten
minutes (``WHOLE_MS``) should be cleared first.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence

from switchyard.cache import breaker
from switchyard.cache.ring.entry import present, tombstone_mark
from switchyard.cache.ring.operations import Admission, Command
from switchyard.cache.ring.shard import Shard, exchange
from switchyard.cache.ring.shards import Shards
from switchyard.forking import PerProcess

logger = logging.getLogger(__name__)

#: Seconds between two looks at the servers.
LOOK_S = 1.0
#: Seconds that one step of settling or filling may take: nobody waits for it.
STEP_S = 2.0
#: Entries that are copied at once: at most so many times the largest value is in memory.
_COPY = 50
#: Steps of one scan: at 500 keys each, more than a server's memory holds.
_SCAN_STEPS = 1_000_000


class Healing:
    """Looks after the servers in a thread of its own."""

    def __init__(self, shards: Shards, deadline: float) -> None:
        self._shards = shards
        self._operations = shards.operations
        self._deadline = deadline
        self._settles_after_ms = (breaker.PAUSE_S + 2 * deadline) * 1000
        self._stopped = threading.Event()
        self._thread = PerProcess(self._start)

    def ensure_running(self) -> None:
        """Start the thread if this process has none: the first use, or the first after a fork."""
        self._thread.get()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        if thread := self._thread.take():
            thread.join(STEP_S)

    def _start(self) -> threading.Thread | None:
        if self._stopped.is_set():
            return None
        thread = threading.Thread(target=self._run, name="cache healing", daemon=True)
        thread.start()
        return thread

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self.heal()
            except Exception:
                logger.exception("the cache's servers were not looked after; the next try is in %s s", LOOK_S)
            self._stopped.wait(LOOK_S)

    def heal(self) -> None:
        """One look at all servers, and what follows from it."""
        doubts = {shard: shard.doubts for shard in self._shards}
        # Whoever of us left a server out before this has noted it after one deadline.
        if self._stopped.wait(self._deadline):
            return
        present_now = self._look()
        settled = self._settle(list(present_now))
        due = [
            shard
            for shard, admission in present_now.items()
            if admission.age_ms > self._settles_after_ms and shard in settled
        ]
        whole = {shard for shard in due if present_now[shard].whole}
        whole |= self._fill([shard for shard in due if shard not in whole], list(present_now))
        for shard in whole:
            shard.trust(doubts[shard])

    def _look(self) -> dict[Shard, Admission]:
        looks = {shard: shard.look(self._deadline) for shard in self._shards if shard.admits()}
        return {shard: admission for shard, admission in looks.items() if admission}

    def _settle(self, reachable: Sequence[Shard]) -> set[Shard]:
        """Act on the notes; the servers that no open note is about."""
        settled = set(reachable)
        for source in reachable:
            for notes in self._scan(source, self._operations.notes):
                if notes is None:
                    return set()
                for target, about in self._by_target(notes).items():
                    if target not in settled or not self._settle_at(source, target, about):
                        settled.discard(target)
        return settled

    def _by_target(self, notes: Sequence[bytes]) -> dict[Shard, list[tuple[bytes, bytes]]]:
        targets: dict[Shard, list[tuple[bytes, bytes]]] = {}
        for note, value in zip(notes[::2], notes[1::2], strict=True):
            if target := self._shards.named(note.partition(b" ")[0].decode()):
                targets.setdefault(target, []).append((note, value))
        return targets

    def _settle_at(self, source: Shard, target: Shard, notes: Sequence[tuple[bytes, bytes]]) -> bool:
        """Give a server what these notes of another say that it missed; whether all is settled."""
        versions = {note.partition(b" ")[2].decode(): value for note, value in notes if b" " in note}
        for note, life in notes:
            if b" " not in note and not target.look(STEP_S, ended=life or target.life):
                return False
        keys = list(versions)
        for at in range(0, len(keys), _COPY):
            some = keys[at : at + _COPY]
            marks = self._read(source, some)
            if marks is None or not self._copy(
                {target: [(key, *marks.get(key, self._gone(versions[key]))) for key in some]}
            ):
                return False
        dropped = self._operations.settle([part for note in notes for part in note])
        return bool(exchange({source: [dropped]}, STEP_S))

    def _gone(self, version: bytes) -> tuple[bytes, bytes]:
        return tombstone_mark(version, self._operations.longest_ms), b""

    def _fill(self, lacking: Sequence[Shard], sources: Sequence[Shard]) -> set[Shard]:
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
        skip = len(self._operations.keys.entries)
        for names in self._scan(source, self._operations.scan):
            if names is None:
                return False
            wanted = {}
            for name in names:
                key = name[skip:].decode()
                owners = [
                    shard for shard in self._shards.owners(key) if shard in targets and shard is not source
                ]
                if owners:
                    wanted[key] = owners
            if not self._fill_keys(source, wanted):
                return False
            exchange({target: [self._operations.go_on_filling()] for target in targets}, STEP_S)
        return True

    def _fill_keys(self, source: Shard, wanted: dict[str, list[Shard]]) -> bool:
        keys = list(wanted)
        for at in range(0, len(keys), _COPY):
            entries = self._read(source, keys[at : at + _COPY])
            if entries is None:
                return False
            batches: dict[Shard, list[tuple[str, bytes, bytes]]] = {}
            for key, (mark, payload) in entries.items():
                for shard in wanted[key]:
                    batches.setdefault(shard, []).append((key, mark, payload))
            if not self._copy(batches):
                return False
        return True

    def _read(self, source: Shard, keys: Sequence[str]) -> dict[str, tuple[bytes, bytes]] | None:
        """Marks and payloads of the keys that are there; None if there was no answer."""
        replies = exchange({source: [self._operations.get(keys)]}, STEP_S).get(source)
        if replies is None:
            return None
        life, *raws = replies[0]
        entries = {key: present(life, raw) for key, raw in zip(keys, raws, strict=True)}
        return {key: (entry.mark, entry.payload) for key, entry in entries.items() if entry}

    def _copy(self, batches: dict[Shard, list[tuple[str, bytes, bytes]]]) -> bool:
        """Copy entries (key, mark, payload) to servers; whether all of these answered."""
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
