"""One run: a cluster, entries, and harm to whoever leads."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from switchyard.beat.entries import Entry
from switchyard.beat.leadership import Leadership, leadership
from switchyard.beat.service import election_name, schedule_of
from switchyard.beat.storage import Storage
from switchyard.cluster.state import State
from switchyard.settings import Settings
from switchyard.transport.opening import open_state
from tests.chaos.beat.app import EVERY, make_app
from tests.chaos.beat.candidates import Candidates, Wishes
from tests.chaos.beat.verdict import Sent, Verdict, judge
from tests.chaos.machines.servers import Server, durable
from tests.support.waiting import wait_until

#: Longest for a process to lead at the start, in seconds.
_STARTS = 60.0


def run(wishes: Wishes, folder: Path) -> Verdict:
    """Let the leader of a fresh cluster be killed and paused, and compare what was sent with what was due."""
    folder.mkdir(parents=True, exist_ok=True)
    server = Server(folder / "server", durable())
    server.start()
    app = make_app(server.url, int(wishes.rate * EVERY))
    state = open_state(app, Settings())
    sent, candidates = Sent(), None
    try:
        storage = Storage.open(app, state.client)
        now = datetime.fromtimestamp(state.now_ms() / 1000, UTC)
        storage.install(schedule_of(app), now + timedelta(seconds=wishes.head_start))
        before = _entries(storage)
        with sent.collecting(server):
            candidates = Candidates(wishes, server, folder)
            killed = list(_break(wishes, candidates, state, election_name(app)))
            ended = candidates.stop()
        return judge(state.keys.prefix, before, _entries(storage), sent, killed, ended)
    finally:
        if candidates is not None:
            candidates.close()
        app.close()
        server.kill()


def _entries(storage: Storage) -> dict[str, Entry]:
    return {entry.key: entry for entry in storage.entries(storage.keys(), datetime.now(UTC))}


def _break(wishes: Wishes, candidates: Candidates, state: State, election: str) -> Iterator[float]:
    """Do harm; when each kill was, in Unix time."""
    dice = random.Random(wishes.seed)
    faults = ["kill"] * wishes.kills + ["pause"] * wishes.pauses
    dice.shuffle(faults)
    term = 0
    for number, fault in enumerate(faults):
        leader = _leader_after(term, state, election)
        candidates.wait_for_a_standby()
        time.sleep(wishes.every * dice.uniform(0.1, 1.0))
        leader = leadership(state, election) or leader
        term = leader.term
        print(f"{number + 1}/{len(faults)}: {fault} {leader.pid}, term {term}", file=sys.stderr, flush=True)
        if fault == "kill":
            yield time.time()
            candidates.kill(leader.pid)
        else:
            candidates.pause(leader.pid, wishes.ttl * 1.5)
    _leader_after(term, state, election)
    # Whoever leads now catches up on what the last fault held up.
    time.sleep(wishes.ttl + 1.0)


def _leader_after(term: int, state: State, election: str) -> Leadership:
    """A dead leader stands in Redis until its lease ends; this is the one after it."""

    def found() -> list[Leadership]:
        leader = leadership(state, election)
        return [leader] if leader is not None and leader.term > term else []

    return wait_until(found, f"somebody leads after term {term}", timeout=_STARTS)[0]
