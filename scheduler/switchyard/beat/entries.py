"""A periodic entry as RedBeat stores it, read and written: its definition and its meta, two JSON texts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from celery.exceptions import ImproperlyConfigured
from kombu.utils.json import dumps

from switchyard.adapters.celery.schedules import loss
from switchyard.adapters.redbeat import store
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
    """A definition and its SHA-1, the instant from which it goes on, when it ran last, and how often."""

    key: str
    definition: Definition
    digest: str
    last: datetime
    ran: datetime | None
    runs: int


def write_definition(app: Any, name: str, fields: Mapping[str, Any]) -> str:
    """An entry of ``beat_schedule`` as RedBeat stores it. Raises ConfigurationError."""
    try:
        given = store.made_of(app, name, fields)
        text = store.definition_of(given)
        definition = read_definition(app, text)
        _require_the_same(app, given, definition)
        next_instant(definition.schedule, datetime.now(UTC))
        if not definition.task:
            raise ValueError("it has no task")
    except (AttributeError, KeyError, TypeError, ValueError, ImproperlyConfigured) as exc:
        raise ConfigurationError(
            f"periodic entry {name!r} cannot be kept: {exc}; mend it in beat_schedule"
        ) from exc
    return text


def _require_the_same(app: Any, given: Any, kept: Definition) -> None:
    """Raise ValueError if another thing was kept than was given: it would be sent, or not, in silence."""
    if lost := loss(given.schedule, kept.schedule):
        raise ValueError(f"{lost}; Celery's own types are kept, and RedBeat's rrule")
    written = kept.options.get("serializer") or getattr(app.tasks.get(given.task), "serializer", None)
    # In JSON a tuple is a list, sooner or later; other forms tell them apart.
    form = _as_json if (written or app.conf.task_serializer) == "json" else _as_it_is
    for what, before, after in (
        ("args", list(given.args or ()), list(kept.args)),
        ("kwargs", dict(given.kwargs), dict(kept.kwargs)),
    ):
        if form(before) != form(after):
            raise ValueError(f"its {what} {before!r} would become {after!r}")


def _as_json(value: Any) -> Any:
    return json.loads(dumps(value))


def _as_it_is(value: Any) -> Any:
    return value


@lru_cache(_DECODED_MAX)
def read_definition(app: Any, text: str) -> Definition:
    """What RedBeat stored. Raises ValueError, TypeError or KeyError if it can't be read."""
    entry = store.entry_of(app, text)
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
    return store.meta_of(last.astimezone(UTC), runs)


def read_meta(text: str) -> tuple[datetime | None, int]:
    """When an entry ran last by RedBeat's meta, None if never; and how often."""
    return store.last_run_of(text)


def goes_on_from(ran: datetime | None, through: int) -> datetime | None:
    """The last run, or later our record of what was left out or sent, in us; None if there is neither."""
    recorded = from_us(through)
    last = recorded if ran is None or recorded > ran else ran
    return None if last == from_us(0) else last


def from_us(instant: int) -> datetime:
    """An instant in us of Unix time."""
    return datetime.fromtimestamp(instant // 1_000_000, UTC).replace(microsecond=instant % 1_000_000)


def to_us(instant: datetime) -> int:
    """An instant as us of Unix time, exactly."""
    whole = instant.replace(microsecond=0)
    return int(whole.timestamp()) * 1_000_000 + instant.microsecond
