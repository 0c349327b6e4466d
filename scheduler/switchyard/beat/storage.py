"""RedBeat's storage: a sorted set of entries by when they are due, and a hash for each entry.

All round trips carry many entries. RedBeat's own, one or two for each entry, would take seconds for 10,000.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from celery.exceptions import ImproperlyConfigured
from redis import Redis
from redis.exceptions import NoScriptError

from switchyard.adapters.redbeat.store import DEFINITION, META, NEVER, client_for, layout_of
from switchyard.beat.entries import (
    Entry,
    goes_on_from,
    read_definition,
    read_meta,
    to_us,
    write_definition,
    write_meta,
)
from switchyard.beat.instants import next_instant
from switchyard.cluster.replies.decoding import text
from switchyard.lua import script

#: A time that an entry was sent through is wrong if it is further ahead of the clock: a leader's longest ttl.
AHEAD_MAX = timedelta(seconds=10)
#: Entries that one round trip reads or writes at most: some 100 kB.
BATCH = 500
#: Up to which instant an entry's ticks were sent, in us: a field of the entry's hash that is ours.
_THROUGH = "through"

#: What to do about it.
_EVICTED = "Set the server's maxmemory-policy to noeviction."

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Record:
    """What is to be recorded of an entry: sent through ``through`` (us), due next at ``score`` (s)."""

    key: str
    through: int
    meta: str
    score: float
    digest: str

    @classmethod
    def sent(cls, entry: Entry, ticks: int, last: datetime, following: datetime | None) -> Record:
        """Some ticks were sent; the entry goes on from ``last``."""
        meta = write_meta(last, entry.runs + ticks)
        return cls(entry.key, to_us(last), meta, score(following), entry.digest)

    @classmethod
    def passes(cls, entry: Entry, last: datetime, following: datetime | None) -> Record:
        """Nothing was to be sent, because it is disabled; the entry goes on from ``last``."""
        return cls(entry.key, to_us(last), "", score(following), entry.digest)

    @classmethod
    def waits(cls, entry: Entry, following: datetime | None) -> Record:
        """Nothing was due yet: the score was too early, as RedBeat's are."""
        return cls(entry.key, 0, "", score(following), entry.digest)


def score(instant: datetime | None) -> float:
    """When an entry is due as the sorted set has it."""
    return NEVER if instant is None else instant.timestamp()


class Storage:
    """The entries of one application. Errors are redis-py's."""

    def __init__(self, app: Any, client: Redis) -> None:
        self._app = app
        self._client = client
        self._layout = layout_of(app)
        self._statics: dict[str, str] = {}

    @classmethod
    def open(cls, app: Any, broker: Redis) -> Storage:
        """Where ``redbeat_redis_url`` says, else on the broker."""
        return cls(app, client_for(app, broker))

    def install(self, entries: Mapping[str, Mapping[str, Any]], now: datetime) -> None:
        """Take over ``beat_schedule``, and drop what an earlier one had and this one has not.

        A new entry goes on from ``now``. Raises ConfigurationError before anything is written.
        """
        definitions = {
            self._layout.prefix + name: write_definition(self._app, name, fields)
            for name, fields in entries.items()
        }
        self._statics = definitions
        known = {text(name) for name in self._client.smembers(self._layout.statics)}
        self._drop(known - set(entries))
        for keys in _batches(list(definitions)):
            self._install({key: definitions[key] for key in keys}, now)
        for names in _batches(list(entries)):
            self._client.sadd(self._layout.statics, *names)

    def _install(self, definitions: Mapping[str, str], now: datetime) -> None:
        scores = self._client.zmscore(self._layout.schedule, list(definitions))
        stored = self._read(list(definitions))
        with self._client.pipeline(transaction=False) as pipe:
            for (key, definition), (old, meta, through), at in zip(
                definitions.items(), stored, scores, strict=True
            ):
                if old == definition and meta and at is not None:
                    continue
                last = goes_on_from(read_meta(meta)[0], through)
                following = next_instant(read_definition(self._app, definition).schedule, last or now)
                pipe.hset(key, DEFINITION, definition)
                pipe.hsetnx(key, META, write_meta(now, 0))
                pipe.zadd(self._layout.schedule, {key: score(following)})
            pipe.execute()

    def _drop(self, names: Iterable[str]) -> None:
        for batch in _batches(list(names)):
            keys: list[str] = [self._layout.prefix + name for name in batch]
            self._client.zrem(self._layout.schedule, *keys)
            self._client.delete(*keys)
            self._client.srem(self._layout.statics, *batch)

    def is_empty(self) -> bool:
        """Whether nothing of any ``beat_schedule`` is here."""
        return not self._client.exists(self._layout.statics)

    def counts(self, horizons: Sequence[float]) -> list[int]:
        """How many entries may be due up to each of these, in s of Unix time."""
        with self._client.pipeline(transaction=False) as pipe:
            for horizon in horizons:
                pipe.zcount(self._layout.schedule, 0, horizon)
            return [int(count) for count in pipe.execute()]

    def due(self, horizon: float, start: int = 0) -> list[tuple[str, float]]:
        """BATCH entries that may be due up to ``horizon`` (s), from the last one or ``start`` before it on.

        With their scores: some are too early, none too late.
        """
        rows: Any = self._client.zrevrangebyscore(
            self._layout.schedule, horizon, 0, start=start, num=BATCH, withscores=True
        )
        return [(text(key), float(at)) for key, at in rows]

    def scores(self, keys: Sequence[str]) -> list[float | None]:
        """When these may be due, None if they are gone."""
        found: list[float | None] = []
        for batch in _batches(keys):
            found += self._client.zmscore(self._layout.schedule, list(batch))
        return found

    def mend(self, keys: Collection[str], now: datetime) -> list[str]:
        """Those of these entries that are there and can't be read, after the others were seen to.

        An entry that was deleted is in the schedule no longer. If it is, and its hash is gone, the server
        evicted it: one of ``beat_schedule`` is put back, and goes on from ``now``.
        """
        known = [key for key, at in zip(keys, self.scores(list(keys)), strict=True) if at is not None]
        evicted = [key for key in known if not self._client.hexists(key, DEFINITION)]
        for key in evicted:
            if key in self._statics:
                _log.warning("Periodic entry %s was gone from the server; it is put back. %s", key, _EVICTED)
                self._install({key: self._statics[key]}, now)
            else:
                _log.error("Periodic entry %s is gone from the server; save it again. %s", key, _EVICTED)
                self._client.zrem(self._layout.schedule, key)
        return [key for key in known if key not in evicted]

    def restore(self, now: datetime) -> None:
        """Make the schedule anew if the server evicted it, of what is left of ``beat_schedule``."""
        if not self._statics or self._client.exists(self._layout.schedule):
            return
        for keys in _batches(list(self._statics)):
            left = [key for key, (text, _, _) in zip(keys, self._read(keys), strict=True) if text]
            if left:
                _log.error(
                    "The schedule of periodic entries was gone from the server; %d of beat_schedule go on, "
                    "others are to be saved again. %s", len(left), _EVICTED,
                )  # fmt: skip
                self._install({key: self._statics[key] for key in left}, now)

    def entries(self, keys: Sequence[str], now: datetime) -> list[Entry]:
        """The entries of these keys. What can't be read is logged and left out, and so is what is gone.

        One without a last run, which no program of RedBeat's writes, goes on from ``now``.
        """
        found = []
        for batch in _batches(keys):
            for key, (definition, meta, through) in zip(batch, self._read(batch), strict=True):
                if definition and (entry := self._entry(key, definition, meta, through, now)):
                    found.append(entry)
        return found

    def _entry(self, key: str, definition: str, meta: str, through: int, now: datetime) -> Entry | None:
        try:
            ran, runs = read_meta(meta)
            last = goes_on_from(ran, through)
            if last is None:
                self._client.hset(key, META, write_meta(now, 0))
            digest = hashlib.sha1(definition.encode(), usedforsecurity=False).hexdigest()
            return Entry(key, read_definition(self._app, definition), digest, last or now, ran, runs)
        except (AttributeError, KeyError, TypeError, ValueError, ImproperlyConfigured) as exc:
            _log.error("Periodic entry %s can't be read: %s; save it again, or delete it.", key, exc)
            return None

    def _read(self, keys: Sequence[str]) -> list[tuple[str, str, int]]:
        with self._client.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.hmget(key, DEFINITION, META, _THROUGH)
            rows = pipe.execute()
        return [(text(d or b""), text(m or b""), int(through or 0)) for d, m, through in rows]

    def set_back(self, now: datetime) -> int:
        """Let entries that are ahead of ``now``, because the clock was set back, go on from it; how many."""
        ahead = (now + AHEAD_MAX).timestamp()
        rows = self._client.zrangebyscore(self._layout.schedule, ahead, "+inf")
        suspects = [text(key) for key in rows]
        return sum(self._set_back(batch, now) for batch in _batches(suspects))

    def _set_back(self, keys: Sequence[str], now: datetime) -> int:
        entries = [
            self._entry(key, *stored, now)
            for key, stored in zip(keys, self._read(keys), strict=True)
            if stored[0]
        ]
        wrong = [entry for entry in entries if entry is not None and entry.last > now + AHEAD_MAX]
        with self._client.pipeline(transaction=False) as pipe:
            for entry in wrong:
                following = next_instant(entry.definition.schedule, now)
                pipe.hset(entry.key, mapping={"meta": write_meta(now, entry.runs), "through": to_us(now)})
                pipe.zadd(self._layout.schedule, {entry.key: score(following)})
            pipe.execute()
        return len(wrong)

    def keys(self) -> list[str]:
        """All entries, those due first in front."""
        return [text(key) for key in self._client.zrange(self._layout.schedule, 0, -1)]

    def record(self, records: Sequence[Record]) -> None:
        """Record what was sent, at most BATCH entries; none goes back."""
        keys = [self._layout.schedule, *(record.key for record in records)]
        args = [part for record in records for part in _parts(record)]
        operation = script("beat/record")
        try:
            self._client.evalsha(operation.sha, len(keys), *keys, *args)
        except NoScriptError:
            self._client.eval(operation.source.decode(), len(keys), *keys, *args)


def _parts(record: Record) -> tuple[str | int | float, ...]:
    return record.through, record.meta, record.score, record.digest


def _batches(items: Sequence[str]) -> list[Sequence[str]]:
    return [items[at : at + BATCH] for at in range(0, len(items), BATCH)]
