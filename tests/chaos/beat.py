"""``python -m tests.chaos.beat``: kills the leader of ``switchyard beat``; counts ticks missing and doubled.

Exit code 0 if each tick was sent exactly once and the next came within 10 s of each kill; 1 if not.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from switchyard.beat.drafting import tick_id
from switchyard.beat.entries import Entry
from switchyard.beat.instants import next_instant
from switchyard.beat.lead import Lead, lead
from switchyard.beat.service import election_name, schedule_of
from switchyard.beat.storage import Storage
from switchyard.cluster.state import State
from switchyard.settings import Settings
from switchyard.transport.opening import open_state

from tests.chaos import processes
from tests.chaos.beat_app import EVERY, make_app
from tests.chaos.servers import Server, durable
from tests.support.waiting import wait_until

#: What the next tick may be late after the leader was killed, in seconds.
WITHIN = 10.0
#: Longest for a process to lead at the start, and to end at the end, in seconds.
_STARTS, _ENDS = 60.0, 20.0
_GOOD = (0, -signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class Wishes:
    """``kills`` by SIGKILL and ``pauses`` by SIGSTOP of who leads, ``every`` s after it leads, or earlier."""

    rate: int = 200
    kills: int = 20
    pauses: int = 2
    every: float = 4.0
    ttl: float = 5.0
    processes: int = 3
    seed: int = 0
    #: Before the first entry goes on, so that the start of the processes is no lateness.
    head_start: float = 10.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was sent, against what was due. ``late`` is ascending, in seconds; ``gaps`` follow each kill."""

    expected: int
    missing: int
    twice: int
    strange: int
    late: Sequence[float]
    gaps: Sequence[float]
    ended: Sequence[int]

    def failures(self) -> list[str]:
        """What must not be."""
        found = [f"{count} ticks {what}" for what, count in self._counts() if count]
        found += [f"{gap:.1f} s without a tick after a kill" for gap in self.gaps if gap > WITHIN]
        # One that was started just now, in place of a dead one, has no handler yet.
        return found + [f"a process ended with {code}" for code in self.ended if code not in _GOOD]

    def _counts(self) -> Iterator[tuple[str, int]]:
        yield from (
            ("missing", self.missing),
            ("sent twice", self.twice),
            ("that nobody expected", self.strange),
        )


@dataclass
class Sent:
    """The messages that were sent, and when each arrived, in Unix time."""

    arrivals: list[tuple[str, float]] = field(default_factory=list)

    @contextmanager
    def collecting(self, server: Server) -> Iterator[None]:
        """Take every message from the queue, until the block has ended and none is left."""
        over = threading.Event()
        thread = threading.Thread(target=self._collect, args=(server, over))
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _collect(self, server: Server, over: threading.Event) -> None:
        client = server.client()
        while True:
            last = over.is_set()
            messages: Any = client.rpop("celery", 2000) or []
            at = time.time()
            self.arrivals += [(json.loads(message)["headers"]["id"], at) for message in messages]
            if last and not messages:
                client.close()
                return
            if not messages:
                over.wait(0.005)


class Candidates:
    """The beat processes of a run; who dies is replaced."""

    def __init__(self, wishes: Wishes, server: Server, folder: Path) -> None:
        self._wishes, self._server, self._folder = wishes, server, folder
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        for _ in range(wishes.processes):
            self.start()

    def start(self) -> None:
        """Start one more."""
        entries = int(self._wishes.rate * EVERY)
        extra = {"TEST_BROKER": self._server.url, "TEST_ENTRIES": str(entries), "PYTHONWARNINGS": "ignore"}
        arguments = ["beat", "-A", "tests.chaos.beat_app", "--ttl", str(self._wishes.ttl)]
        process = processes.python(
            "switchyard_workers.cli", arguments, {**os.environ, **extra}, self._folder / "beat.log"
        )
        self._running[process.pid] = process

    def kill(self, pid: int) -> None:
        """SIGKILL one, and start another."""
        processes.kill_group(self._running.pop(pid))
        self.start()

    def pause(self, pid: int, seconds: float) -> None:
        """SIGSTOP one for a while."""
        processes.signal_group(self._running[pid], signal.SIGSTOP)
        time.sleep(seconds)
        processes.signal_group(self._running[pid], signal.SIGCONT)

    def stop(self) -> list[int]:
        """SIGTERM to all; their exit codes."""
        for process in self._running.values():
            processes.signal_group(process, signal.SIGTERM)
        return [process.wait(_ENDS) for process in self._running.values()]

    def close(self) -> None:
        """Kill what still runs."""
        for process in self._running.values():
            if process.poll() is None:
                processes.kill_group(process)


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
        time.sleep(wishes.every * dice.uniform(0.1, 1.0))
        leader = lead(state, election) or leader
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


def _leader_after(term: int, state: State, election: str) -> Lead:
    """A dead leader stands in Redis until its lease ends; this is the one after it."""

    def found() -> list[Lead]:
        leader = lead(state, election)
        return [leader] if leader is not None and leader.term > term else []

    return wait_until(found, f"somebody leads after term {term}", timeout=_STARTS)[0]


def judge(
    prefix: str,
    before: Mapping[str, Entry],
    after: Mapping[str, Entry],
    sent: Sent,
    killed: Sequence[float],
    ended: Sequence[int],
) -> Verdict:
    """Each instant between an entry's first and last record must have been sent once."""
    due = {
        tick_id(prefix, key, instant): instant.timestamp()
        for key, entry in before.items()
        for instant in _instants(entry, after[key].last)
    }
    counts = Counter(task for task, _ in sent.arrivals)
    first = dict(reversed(sent.arrivals))
    arrivals = sorted(at for _, at in sent.arrivals)
    begin = min(due.values(), default=0.0)
    # Before the first tick is due, silence is no gap.
    gaps = [next((at for at in arrivals if at > kill), float("inf")) - max(kill, begin) for kill in killed]
    return Verdict(
        expected=len(due),
        missing=sum(task not in counts for task in due),
        twice=sum(count > 1 for count in counts.values()),
        strange=sum(task not in due for task in counts),
        late=sorted(first[task] - instant for task, instant in due.items() if task in first),
        gaps=gaps,
        ended=ended,
    )


def _instants(entry: Entry, last: datetime) -> Iterator[datetime]:
    instant = next_instant(entry.definition.schedule, entry.last)
    while instant is not None and instant <= last:
        yield instant
        instant = next_instant(entry.definition.schedule, instant)


def show(verdict: Verdict) -> None:
    """Print the figures."""
    late, gaps = verdict.late, verdict.gaps
    print(f"ticks due {verdict.expected}, missing {verdict.missing}, sent twice {verdict.twice}")
    if late:
        p50, p99 = (late[int(len(late) * part)] * 1000 for part in (0.5, 0.99))
        print(f"late: p50 {p50:.0f} ms, p99 {p99:.0f} ms, max {late[-1]:.2f} s, min {late[0] * 1000:.1f} ms")
    if gaps:
        print(f"next tick after {len(gaps)} kills: mean {sum(gaps) / len(gaps):.2f} s, max {max(gaps):.2f} s")


@click.command()
@click.option("--rate", type=click.IntRange(1), default=200, show_default=True, help="Ticks due a second.")
@click.option("--kills", type=click.IntRange(0), default=20, show_default=True)
@click.option("--pauses", type=click.IntRange(0), default=2, show_default=True)
@click.option(
    "--every",
    type=click.FloatRange(0.5),
    default=4.0,
    show_default=True,
    help="Longest that one leads, in seconds.",
)
@click.option("--ttl", type=click.FloatRange(1), default=5.0, show_default=True, help="Seconds.")
@click.option("--seed", type=int, default=None, help="The same seed makes the same plan.")
def main(rate: int, kills: int, pauses: int, every: float, ttl: float, seed: int | None) -> None:
    """Kill the leader of switchyard beat on purpose, and count."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    seed = seed if seed is not None else time.time_ns() % 1_000_000
    folder = Path(tempfile.mkdtemp(prefix="chaos-beat-"))
    print(f"seed {seed}; logs in {folder}", file=sys.stderr)
    verdict = run(Wishes(rate, kills, pauses, every, ttl, seed=seed), folder)
    show(verdict)
    for failure in verdict.failures():
        print(failure)
    sys.exit(1 if verdict.failures() else 0)


if __name__ == "__main__":
    main()
