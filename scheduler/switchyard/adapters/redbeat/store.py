"""RedBeat's storage: where it keeps periodic entries, in which form, and what it would do that we do instead.

An entry is a hash under ``Layout.prefix`` and its name, with the fields DEFINITION and META, both JSON. The
sorted set ``Layout.schedule`` has all entries by when they are due, the set ``Layout.statics`` has the names
of those that came from ``beat_schedule``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from celery.signals import beat_init
from redbeat.schedulers import (
    RedBeatSchedulerEntry,
    acquire_distributed_beat_lock,
    ensure_conf,
    get_redis,
)
from redis import Redis

from switchyard.adapters.redbeat.encoding import Decoder, Encoder

#: Fields of an entry's hash.
DEFINITION, META = "definition", "meta"
#: The score of an entry that is never due again.
NEVER = -1.0


@dataclass(frozen=True, slots=True)
class Layout:
    """Names of RedBeat's keys for one application."""

    prefix: str
    schedule: str
    statics: str


def layout_of(app: Any) -> Layout:
    """Where RedBeat keeps the entries of an application."""
    conf = ensure_conf(app)
    return Layout(conf.key_prefix, conf.schedule_key, conf.statics_key)


def client_for(app: Any, broker: Redis) -> Redis:
    """A client for where ``redbeat_redis_url`` says; without one ``broker``, for RedBeat's functions too."""
    if app.conf.get("redbeat_redis_url"):
        client: Redis = get_redis(app)
        return client
    app.conf.update(redbeat_redis_url=app.conf.broker_write_url, redbeat_redis_options={})
    # RedBeat can't read all of kombu's URLs.
    app.redbeat_redis = broker
    return broker


def leave_the_lock() -> None:
    """Keep RedBeat from taking its own lock when beat starts; it would wait for it for up to half an hour."""
    beat_init.disconnect(acquire_distributed_beat_lock)


def made_of(app: Any, name: str, fields: Mapping[str, Any]) -> Any:
    """An entry of ``beat_schedule`` as RedBeat's. Raises what Celery does for one that is wrong."""
    return RedBeatSchedulerEntry(**dict(fields, name=name, app=app))


def definition_of(entry: Any) -> str:
    """What RedBeat stores of an entry. Raises TypeError for what nobody can write."""
    kept = ("name", "task", "args", "kwargs", "options", "schedule", "enabled")
    return json.dumps({field: getattr(entry, field) for field in kept}, cls=Encoder)


def entry_of(app: Any, definition: str) -> Any:
    """What was stored as a definition, as a ``celery.beat.ScheduleEntry`` that may be ``enabled``.

    Raises ValueError, TypeError, KeyError or AttributeError if it can't be read.
    """
    return RedBeatSchedulerEntry(app=app, **json.loads(definition, cls=Decoder))


def meta_of(last: datetime, runs: int) -> str:
    """When an entry ran last, and how often in all, as RedBeat stores it."""
    return json.dumps({"last_run_at": last, "total_run_count": runs}, cls=Encoder)


def last_run_of(meta: str) -> tuple[datetime | None, int]:
    """When an entry ran last, None if never, and how often. Raises as :func:`entry_of` does."""
    stored = json.loads(meta, cls=Decoder) if meta else {}
    return stored.get("last_run_at"), int(stored.get("total_run_count") or 0)
