"""A periodic entry as RedBeat stores it, read and written: its definition and its meta, two JSON texts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from celery.exceptions import ImproperlyConfigured
from celery.schedules import solar
from redbeat.decoder import RedBeatJSONDecoder, RedBeatJSONEncoder
from redbeat.schedulers import RedBeatSchedulerEntry

from switchyard.beat.instants import next_instant
from switchyard.beat.plan import Missed
from switchyard.errors import ConfigurationError

#: The option of an entry that is ours; Celery does not see it.
MISSED = "missed"
#: Definitions that are kept decoded: decoding one costs about 100 us.
_DECODED_MAX = 20_000


@dataclass(frozen=True, slots=True)
class Definition:
    """What to send, when. ``schedule`` is one of Celery's or RedBeat's."""

    name: str
    task: str
    schedule: Any
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    options: Mapping[str, Any]
    enabled: bool
    missed: Missed


@dataclass(frozen=True, slots=True)
class Entry:
    """A definition and its SHA-1, the instant from which it goes on, and how many ticks were sent so far."""

    key: str
    definition: Definition
    digest: str
    last: datetime
    runs: int


class _Encoder(RedBeatJSONEncoder):
    """RedBeat's, which cannot write a solar schedule."""

    def default(self, obj: Any) -> Any:
        """What stands for the object in JSON."""
        if isinstance(obj, solar):
            return {"__type__": "solar", "event": obj.event, "lat": obj.lat, "lon": obj.lon}
        return super().default(obj)


class _Decoder(RedBeatJSONDecoder):
    """RedBeat's, which cannot read a solar schedule."""

    def dict_to_object(self, d: dict[str, Any]) -> Any:
        """The object that stands in JSON."""
        if d.get("__type__") == "solar":
            return solar(d["event"], d["lat"], d["lon"])
        return super().dict_to_object(d)


def write_definition(app: Any, name: str, fields: Mapping[str, Any]) -> str:
    """An entry of ``beat_schedule`` as RedBeat stores it. Raises ConfigurationError."""
    try:
        entry = RedBeatSchedulerEntry(**dict(fields, name=name, app=app))
        text = json.dumps(
            {
                "name": entry.name,
                "task": entry.task,
                "args": entry.args,
                "kwargs": entry.kwargs,
                "options": entry.options,
                "schedule": entry.schedule,
                "enabled": entry.enabled,
            },
            cls=_Encoder,
        )
        definition = read_definition(app, text)
        next_instant(definition.schedule, datetime.now(UTC))
        if not definition.task:
            raise ValueError("it has no task")
    except (AttributeError, KeyError, TypeError, ValueError, ImproperlyConfigured) as exc:
        raise ConfigurationError(
            f"periodic entry {name!r} cannot be kept: {exc}; mend it in beat_schedule"
        ) from exc
    return text


@lru_cache(_DECODED_MAX)
def read_definition(app: Any, text: str) -> Definition:
    """What RedBeat stored. Raises ValueError, TypeError or KeyError if it can't be read."""
    stored = json.loads(text, cls=_Decoder)
    entry = RedBeatSchedulerEntry(app=app, **stored)
    options = dict(entry.options)
    missed = _missed(entry.name, options.pop(MISSED, Missed.ONCE))
    return Definition(
        entry.name, entry.task, entry.schedule, entry.args or (), entry.kwargs, options, entry.enabled, missed
    )


def _missed(name: str, value: str) -> Missed:
    try:
        return Missed(value)
    except ValueError:
        known = ", ".join(Missed)
        raise ConfigurationError(f"{name!r} has missed={value!r}; known are {known}") from None


def write_meta(last: datetime, runs: int) -> str:
    """When an entry ran last. In UTC: RedBeat's format forgets which of two equal local times it was."""
    return json.dumps({"last_run_at": last.astimezone(UTC), "total_run_count": runs}, cls=_Encoder)


def read_meta(text: str, through: int) -> tuple[datetime | None, int]:
    """When an entry ran last by RedBeat's meta, or later by our record of it in us; and how often."""
    meta = json.loads(text, cls=_Decoder) if text else {}
    last: datetime | None = meta.get("last_run_at")
    recorded = from_us(through)
    last = recorded if last is None or recorded > last else last
    return (None if last == from_us(0) else last), int(meta.get("total_run_count") or 0)


def from_us(instant: int) -> datetime:
    """An instant in us of Unix time."""
    return datetime.fromtimestamp(instant // 1_000_000, UTC).replace(microsecond=instant % 1_000_000)


def to_us(instant: datetime) -> int:
    """An instant as us of Unix time, exactly."""
    whole = instant.replace(microsecond=0)
    return int(whole.timestamp()) * 1_000_000 + instant.microsecond
