"""What was sent, against what was due."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from switchyard.beat.drafting import tick_id
from switchyard.beat.entries import Entry
from switchyard.beat.instants import next_instant
from tests.chaos.machines.servers import Server

#: What the next tick may be late after the leader was killed, in seconds.
WITHIN = 10.0
_GOOD = (0, -signal.SIGTERM)


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
