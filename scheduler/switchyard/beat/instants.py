"""When an entry is due: instants that depend on its schedule and its last run alone, never on who asks when.

Celery's schedules say how long there is left from now. Asked as if now were the last run, they say the
instant itself, so each leader finds the same ones.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from celery.schedules import schedule as Interval
from celery.schedules import solar

from switchyard.errors import ConfigurationError

#: The sun's position is iterated to about a second; the same event must not be found again.
_SOLAR_STEP = timedelta(minutes=1)


def next_instant(schedule: Any, after: datetime) -> datetime | None:
    """The first instant of a schedule after this one, in UTC; None if there is none.

    Raises ConfigurationError for a schedule that stands still, such as an interval of zero.
    """
    start = after + _SOLAR_STEP if isinstance(schedule, solar) else after
    # Celery counts calendar days and hours where the schedule is, which its time zone says.
    local = start.astimezone(schedule.tz)
    own, schedule.nowfun = schedule.nowfun, lambda: local
    try:
        left = schedule.remaining_estimate(local)
    finally:
        schedule.nowfun = own
    if left is None:
        return None
    found: datetime = (start.astimezone(UTC) + left).astimezone(UTC)
    if found <= after:
        raise ConfigurationError(f"{schedule} has no instant after {after}; give it an interval above zero")
    return found


def skip(schedule: Any, last: datetime, now: datetime) -> datetime:
    """From where an entry goes on if all instants up to ``now`` are left out; an interval keeps its step."""
    if isinstance(schedule, Interval) and not schedule.relative:
        every: timedelta = schedule.run_every
        return last + (now - last) // every * every
    return now - _SOLAR_STEP if isinstance(schedule, solar) else now
