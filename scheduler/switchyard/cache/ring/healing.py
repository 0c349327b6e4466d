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
2. a deadline has passed since, and notes about it have then been acted on: the keys in them were copied from
   where the note was, or made a tombstone if they are gone there;
3. it is *whole*: in this life and on this ring it was given all that it owns, by this client or another.

A server counts as away until then. While at most one is, each key has an owner that took every write.

**What is not promised.** A server that only some clients cannot reach, and that did not restart, may give
the others what it had until any client acts on the notes: a look at the servers happens every ``LOOK_S``. A
writer that is killed between two owners has promised nothing. A server list that is changed back within ten
minutes (``WHOLE_MS``) should be cleared first.
"""

from __future__ import annotations

import logging
import threading

from switchyard.cache import breaker
from switchyard.cache.ring.catching_up import STEP_S, CatchingUp
from switchyard.cache.ring.operations import Admission
from switchyard.cache.ring.shard import Shard
from switchyard.cache.ring.shards import Shards
from switchyard.forking import PerProcess

logger = logging.getLogger(__name__)

#: Seconds between two looks at the servers.
LOOK_S = 1.0


class Healing:
    """Looks after the servers in a thread of its own."""

    def __init__(self, shards: Shards, deadline: float) -> None:
        self._shards = shards
        self._catching_up = CatchingUp(shards)
        self._deadline = deadline
        self._heals_after_ms = (breaker.PAUSE_S + 2 * deadline) * 1000
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
        caught_up = self._catching_up.act_on_notes(list(present_now))
        due = [
            shard
            for shard, admission in present_now.items()
            if admission.age_ms > self._heals_after_ms and shard in caught_up
        ]
        whole = {shard for shard in due if present_now[shard].whole}
        whole |= self._catching_up.fill([shard for shard in due if shard not in whole], list(present_now))
        for shard in whole:
            shard.trust(doubts[shard])

    def _look(self) -> dict[Shard, Admission]:
        looks = {shard: shard.look(self._deadline) for shard in self._shards if shard.admits()}
        return {shard: admission for shard, admission in looks.items() if admission}
