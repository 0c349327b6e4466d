"""When Celery's schedules are due next: the instant itself, the same in every version of Celery.

They say how long there is left from now. Asked as if now were the last run they would say the instant; but
before 5.7 they subtract times of day, and are an hour off over a change of the clocks. So what needs no more
than arithmetic is done here as 5.7 does it, and the others are asked where no version can be wrong.
"""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

from celery.schedules import crontab, schedule, solar

_DAY, _HOUR, _MINUTE, _SECOND = (timedelta(seconds=seconds) for seconds in (86_400, 3_600, 60, 1))


def next_run(what: Any, after: datetime) -> datetime | None:
    """When a schedule is due next if it ran last at ``after``, in UTC; None if never again.

    ``what`` is not changed, so that several threads may ask one. Raises whatever it raises: it may be
    anybody's code.
    """
    if isinstance(what, crontab):
        return _next_of_crontab(what, after)
    if isinstance(what, schedule):
        return _next_rounded(what, after) if what.relative else after + what.run_every
    now = after if isinstance(what, solar) else after.astimezone(what.tz)
    left: timedelta | None = _as_of(what, now).remaining_estimate(now)
    return None if left is None else after + left


def interval_of(what: Any) -> timedelta | None:
    """How far apart the runs of a plain interval are; None for any other schedule."""
    if not isinstance(what, schedule) or what.relative:
        return None
    every: timedelta = what.run_every
    return every


def follows_the_sun(what: Any) -> bool:
    """Whether a schedule is solar: Celery iterates the sun's position to about a second."""
    return isinstance(what, solar)


def _next_of_crontab(what: crontab, after: datetime) -> datetime:
    """remaining_estimate() is this sum of times of day, less now."""
    local = after.astimezone(what.tz)
    last, ahead, _ = _as_of(what, local).remaining_delta(local)
    due: datetime = last + ahead
    return due.astimezone(UTC)


def _next_rounded(what: schedule, after: datetime) -> datetime:
    """The last full unit of the clock within one interval; a day is one of the calendar, not 24 hours."""
    every: timedelta = what.run_every
    if every <= timedelta():
        return after
    if every >= _DAY:
        midnight = after.astimezone(what.tz) + every
        return midnight.replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)
    unit = next((unit for unit in (_HOUR, _MINUTE) if every >= unit), _SECOND)
    full = (after + every).astimezone(what.tz).replace(microsecond=0)
    full = full if unit is _SECOND else full.replace(second=0)
    full = full.replace(minute=0) if unit is _HOUR else full
    # Where clocks go back by half an hour this may be before the last run.
    return (full if full.astimezone(UTC) > after else full + unit).astimezone(UTC)


def _as_of(what: Any, now: datetime) -> Any:
    """A copy that takes this for now. Not copy.copy(): a crontab would be parsed again, without its app."""
    made = object.__new__(type(what))
    vars(made).update(vars(what), nowfun=lambda: now)
    if isinstance(what, solar):
        # Celery keeps the time to look from in it.
        made.cal = copy.copy(what.cal)
    return made
