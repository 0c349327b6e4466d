"""When an entry is due: instants that depend on its schedule and its last run alone, never on who asks when.

So each leader finds the same ones, whatever version of Celery it runs.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from switchyard.adapters.celery.schedules import follows_the_sun, interval_of, next_run
from switchyard.errors import ConfigurationError

#: The sun's position is iterated to about a second; the same event must not be found again.
_SOLAR_STEP = timedelta(minutes=1)


def next_instant(schedule: Any, after: datetime) -> datetime | None:
    """The first instant of a schedule after this one, in UTC; None if there is none.

    Raises ConfigurationError for a schedule that stands still, such as an interval of zero, and for one that
    fails: it may be anybody's code, and must not stop other entries.
    """
    start = after.astimezone(UTC)
    try:
        found = next_run(schedule, start + _SOLAR_STEP if follows_the_sun(schedule) else start)
    except Exception as exc:
        raise ConfigurationError(f"{schedule} does not say when it is due: {exc}; define it anew") from exc
    if found is not None and found <= start:
        raise ConfigurationError(f"{schedule} has no instant after {after}; give it an interval above zero")
    return found


def skip(schedule: Any, last: datetime, now: datetime) -> datetime:
    """From where an entry goes on if all instants up to ``now`` are left out; an interval keeps its step."""
    if every := interval_of(schedule):
        return last + (now - last) // every * every
    return now - _SOLAR_STEP if follows_the_sun(schedule) else now
