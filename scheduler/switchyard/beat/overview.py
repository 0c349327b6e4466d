"""The entries as people want to see them: what, when last, when next, and who sends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from switchyard.beat.entries import Entry
from switchyard.beat.instants import next_instant
from switchyard.beat.leadership import Leadership, leadership
from switchyard.beat.service import election_name
from switchyard.beat.storage import Storage
from switchyard.cluster.state import State
from switchyard.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Row:
    """One entry; times are in the application's time zone. ``next_run`` may be past if nobody leads."""

    name: str
    task: str
    schedule: str
    enabled: bool
    missed: str
    last_run: datetime | None
    next_run: datetime | None
    runs: int


def overview(app: Any, state: State) -> tuple[Leadership | None, list[Row]]:
    """Who leads, and all entries, those due first in front. Changes nothing."""
    storage = Storage.open(app, state.client)
    found = storage.entries(storage.keys(), datetime.fromtimestamp(state.now_ms() / 1000, UTC))
    rows = [_row(entry, app.timezone) for entry in found]
    never = datetime.max.replace(tzinfo=UTC)
    rows.sort(key=lambda row: (row.next_run or never, row.name))
    return leadership(state, election_name(app)), rows


def _row(entry: Entry, zone: Any) -> Row:
    what = entry.definition
    try:
        following = next_instant(what.schedule, entry.last)
    except ConfigurationError:
        following = None
    return Row(
        what.name,
        what.task,
        str(what.schedule).strip("<>"),
        what.enabled,
        str(what.missed),
        entry.ran.astimezone(zone) if entry.ran and entry.runs else None,
        following and following.astimezone(zone),
        entry.runs,
    )
