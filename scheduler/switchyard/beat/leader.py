"""What the leader does in its term: sweeps up entries that are due soon, drafts, sends in time, records.

All in small turns of one thread, the most urgent first, so that a tick waits some milliseconds at most for
the work on others. What it knows is in the storage; when a turn fails, or the term is over, it is dropped.
"""

from __future__ import annotations

import heapq
import logging
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from switchyard.beat.clock import ServerClock
from switchyard.beat.drafting import Drafted, Sender
from switchyard.beat.entries import Definition, Entry, from_us
from switchyard.beat.instants import next_instant
from switchyard.beat.plan import passed_over, plan
from switchyard.beat.storage import AHEAD_MAX, BATCH, Record, Storage
from switchyard.beat.sweep import Sweep
from switchyard.errors import ConfigurationError

#: A tick is drafted as long before it is due as the first of these, in seconds, or as the last one up to
#: which more is due than could be drafted until its predecessor: one second to half a minute.
WINDOWS = tuple(1.25**step for step in range(16))
#: A tick is not drafted earlier than this.
AHEAD = timedelta(seconds=WINDOWS[-1])
#: What drafting an entry costs, in seconds, before the first was measured; a bit much, as is the margin.
_COST_AT_FIRST = 0.002
_MARGIN = 1.25
#: Weight of the latest draft in the moving mean of that cost.
_NEWEST = 0.002
#: Entries that one turn reads: about 5 ms of work. Drafting one is about 1 ms, a turn of its own.
_READS = 20
#: Messages that one turn sends: some MB, about 20 ms of work.
_SENDS = 1000
#: A tick is sent this much after it is due, and recorded so many seconds after that: a round trip for many
#: costs little more than one for each.
_SEND_AFTER = timedelta(seconds=0.01)
_RECORD_WITHIN = 0.05
#: How long an entry that cannot be drafted is left alone, in seconds.
_BROKEN = 60.0

#: What breaks when the broker or the storage is away.
CONNECTION_ERRORS = (OSError, RedisError, OperationalError)

_log = logging.getLogger(__name__)


def head_start(counts: Sequence[int], cost: float) -> float:
    """How early to draft, in seconds, if ``counts`` are due within each window and one costs ``cost`` s."""
    begins = (0.0, *WINDOWS)
    late = [end for begin, end, count in zip(begins, WINDOWS, counts, strict=False) if cost * count > begin]
    return max(late, default=WINDOWS[0])


class Leader:
    """The work of one term. ``leads`` is asked before anything is sent; ``sweep_every`` is in seconds."""

    def __init__(
        self,
        storage: Storage,
        sender: Sender,
        clock: ServerClock,
        leads: Callable[[], bool],
        sweep_every: float,
    ) -> None:
        self._storage = storage
        self._sender = sender
        self._clock = clock
        self._leads = leads
        self._sweep_every = sweep_every
        self._sweep_at = float("-inf")
        self._mended = False
        self._sweeping: Sweep | None = None
        self._head_start = WINDOWS[0]
        self._furthest = float("-inf")
        self._waiting: list[tuple[float, str]] = []
        self._read: deque[Entry] = deque()
        self._drafted: list[tuple[datetime, str, Drafted]] = []
        self._records: deque[Record] = deque()
        self._record_at = float("inf")
        self._unsaid: deque[Definition] = deque()
        self._busy: dict[str, float] = {}
        self._rests: dict[str, float] = {}
        self._cost = _COST_AT_FIRST
        self._cost_of_reading = 0.0

    def turn(self) -> float:
        """Do what is most urgent; how long nothing is to do then, in seconds."""
        now = self._clock.now()
        at = now.timestamp()
        if self._drafted and self._drafted[0][0] + _SEND_AFTER <= now:
            self._send(now)
        elif self._record_at <= at or len(self._records) >= BATCH:
            self._record(now)
        elif self._sweep_at <= at:
            self._sweep(now)
        elif self._read:
            self._draft(self._read.popleft(), now)
        elif self._waiting and self._waiting[0][0] - self._head_start <= at:
            self._read_some(now)
        elif self._records:
            self._record(now)
        else:
            return self._idle(at)
        return 0.0

    def finish(self) -> None:
        """Record what was sent. What was not is for the next leader."""
        while self._records:
            self._record(self._clock.now())

    def _idle(self, now: float) -> float:
        times = [self._sweep_at]
        times += [(self._drafted[0][0] + _SEND_AFTER).timestamp()] if self._drafted else []
        times += [self._waiting[0][0] - self._head_start] if self._waiting else []
        return max(min(times) - now, 0.0)

    def _sweep(self, now: datetime) -> None:
        if self._sweeping is None:
            self._sweeping = self._new_sweep()
        if self._sweeping.turn():
            sweep, self._sweeping = self._sweeping, None
            self._forget_changed(sweep)
            self._waiting = [
                (at, key)
                for key, at in sweep.found.items()
                if key not in self._busy and key not in self._rests
            ]
            heapq.heapify(self._waiting)
            # From its end on: a sweep that takes long must leave time to draft.
            self._sweep_at = self._clock.now().timestamp() + self._sweep_every

    def _new_sweep(self) -> Sweep:
        if self._clock.read() < -AHEAD_MAX.total_seconds():
            self._start_anew()
        if not self._mended:
            self._mend()
        self._storage.restore(self._clock.now())
        at = self._clock.now().timestamp()
        self._rests = {key: until for key, until in self._rests.items() if until > at}
        counts = self._storage.counts([at + window for window in WINDOWS])
        self._head_start = head_start([count - len(self._rests) for count in counts], self._cost * _MARGIN)
        return Sweep(self._storage, max(at + self._head_start + 2 * self._sweep_every, self._furthest))

    def _start_anew(self) -> None:
        """The server's clock was set back: what is planned is for times that are long to come now."""
        _log.warning("The clock of the server was set back; periodic entries go on from now.")
        self._waiting, self._drafted = [], []
        self._read.clear()
        self._busy.clear()
        self._rests.clear()
        self._furthest = float("-inf")
        self.finish()
        self._mended = False

    def _mend(self) -> None:
        """Let entries that were sent through a time that is still to come go on from now."""
        if count := self._storage.set_back(self._clock.now()):
            _log.warning("%d periodic entries were ahead of the server's clock; they go on from now.", count)
        self._mended = True

    def _forget_changed(self, sweep: Sweep) -> None:
        """Drop drafts of entries that were deleted, or became due at another time."""
        keys = [entry.key for entry in self._read] + [key for _, key, _ in self._drafted]
        if changed := sweep.changed({key: self._busy[key] for key in keys}):
            self._read = deque(entry for entry in self._read if entry.key not in changed)
            self._drafted = [item for item in self._drafted if item[1] not in changed]
            heapq.heapify(self._drafted)
            for key in changed:
                del self._busy[key]

    def _read_some(self, now: datetime) -> None:
        latest = now.timestamp() + self._head_start
        picked: dict[str, float] = {}
        while self._waiting and self._waiting[0][0] <= latest and len(picked) < _READS:
            at, key = heapq.heappop(self._waiting)
            if key not in self._busy:
                picked[key] = at
        if not picked:
            return
        entries = {entry.key: entry for entry in self._storage.entries(list(picked), now)}
        for key, entry in entries.items():
            self._busy[key] = picked[key]
            self._furthest = max(self._furthest, picked[key])
            self._read.append(entry)
        for key in self._storage.mend(picked.keys() - entries.keys(), now):
            self._rest(key, now, _BROKEN)
        self._cost_of_reading = (self._clock.now() - now).total_seconds() / len(picked)

    def _draft(self, entry: Entry, now: datetime) -> None:
        self._draft_one(entry, now)
        took = (self._clock.now() - now).total_seconds() + self._cost_of_reading
        self._cost += _NEWEST * (took - self._cost)

    def _draft_one(self, entry: Entry, now: datetime) -> None:
        """One entry that can't be drafted must not hold up the others: its ticks are left out."""
        definition = entry.definition
        try:
            if definition.enabled:
                what = plan(definition.schedule, entry.last, now, now + AHEAD, definition.missed)
            else:
                what = passed_over(definition.schedule, entry.last, now, now + AHEAD)
            if what is None:
                self._to_record([Record.waits(entry, next_instant(definition.schedule, entry.last))], now)
                return
        except ConfigurationError as exc:
            _log.error("Periodic entry %r has no next run: %s", definition.name, exc)
            del self._busy[entry.key]
            self._rest(entry.key, now, _BROKEN)
            return
        if not definition.enabled:
            self._to_record([Record.passes(entry, what.last, what.following)], now)
            return
        try:
            drafted = self._sender.draft(entry, what, now)
        except CONNECTION_ERRORS:
            raise
        except Exception:
            _log.exception("Periodic entry %r cannot be sent; this run of it is left out.", definition.name)
            self._to_record([Record.sent(entry, 0, what.last, what.following)], now)
            return
        heapq.heappush(self._drafted, (drafted.at, entry.key, drafted))

    def _rest(self, key: str, now: datetime, seconds: float) -> None:
        self._rests[key] = now.timestamp() + seconds

    def _send(self, now: datetime) -> None:
        due: list[Drafted] = []
        messages = 0
        while self._drafted and self._drafted[0][0] <= now and messages < _SENDS:
            drafted = heapq.heappop(self._drafted)[2]
            due.append(drafted)
            messages += len(drafted.messages)
        if not self._leads():
            # Should this term go on after all, the next sweep finds them.
            for drafted in due:
                del self._busy[drafted.entry.key]
            return
        refused = set(self._sender.send(due))
        for tick in refused:
            _log.warning(
                "Periodic entry %s: its run of %s was sent before.", tick.entry, from_us(tick.instant)
            )
        self._to_record([drafted.record(refused) for drafted in due], now)
        for drafted in due:
            instants = {tick.instant for _, tick in drafted.messages if tick not in refused}
            self._unsaid.extend([drafted.entry.definition] * len(instants))

    def _to_record(self, records: Sequence[Record], now: datetime) -> None:
        if not self._records:
            self._record_at = now.timestamp() + _RECORD_WITHIN
        self._records.extend(records)

    def _record(self, now: datetime) -> None:
        records = [self._records.popleft() for _ in range(min(len(self._records), BATCH))]
        self._storage.record(records)
        self._say(len(records))
        if not self._records:
            self._record_at = float("inf")
        for record in records:
            self._busy.pop(record.key, None)
            if self._sweeping is not None:
                self._sweeping.moved(record.key, record.score)
            if 0 <= record.score <= self._sweep_at + self._head_start + self._sweep_every:
                heapq.heappush(self._waiting, (record.score, record.key))

    def _say(self, records: int) -> None:
        """Log what was sent, in Celery's words; not before what else is due went, as a line costs 20 us."""
        for _ in range(len(self._unsaid) if not self._records else min(records, len(self._unsaid))):
            definition = self._unsaid.popleft()
            _log.info("Scheduler: Sending due task %s (%s)", definition.name, definition.task)
