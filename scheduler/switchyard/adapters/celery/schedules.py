"""When Celery's schedules are due next: the instant itself, the same in every version of Celery.

They say how long there is left from now. Asked as if now were the last run they would say the instant; but
before 5.7 they subtract times of day, and are an hour off over a change of the clocks. So what needs no more
than arithmetic is done here as 5.7 does it, and the others are asked where no version can be wrong.
"""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

from celery.schedules import BaseSchedule, crontab, schedule, solar

#: Schedulers whose entries are those of ``beat_schedule`` and of RedBeat's storage.
_SCHEDULERS = {
    "celery.beat.PersistentScheduler",
    "celery.beat.Scheduler",
    "redbeat.RedBeatScheduler",
    "redbeat.schedulers.RedBeatScheduler",
}
#: What a schedule remembers once it was asked.
_SEEN = {"tz", "utc_enabled"}
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


def foreign_scheduler(app: Any) -> str | None:
    """The ``beat_scheduler`` of an application, if its entries are not where ours are."""
    chosen = app.conf.beat_scheduler
    name = (
        chosen.replace(":", ".") if isinstance(chosen, str) else f"{chosen.__module__}.{chosen.__qualname__}"
    )
    return None if name in _SCHEDULERS else str(name)


def loss(given: Any, kept: Any) -> str | None:
    """What of a schedule is missing in the one that it was kept as; None if they mean the same."""
    if type(given) is not type(kept):
        return f"its schedule is a {_name(given)}, of which a {_name(kept)} would be left"
    if given.nowfun is not None:
        return "its schedule has a nowfun of its own"
    if str(given.tz) != str(kept.tz):
        return f"its schedule has a time zone of its own, {given.tz}"
    if more := vars(given).keys() - vars(kept).keys() - _SEEN:
        return f"its schedule has {', '.join(sorted(more))} of its own"
    return None if _equal(given, kept) else f"its schedule {given} would become {kept}"


def _equal(one: Any, other: Any) -> bool:
    """Celery's own comparison overlooks ``relative``, and all there is of a type that brings none."""
    if one != other or getattr(one, "relative", None) != getattr(other, "relative", None):
        return False
    return type(one).__eq__ is not BaseSchedule.__eq__ or _runs(one) == _runs(other)


def _runs(what: Any) -> list[datetime | None]:
    """When it is due from now on, in summer and in winter: for a type that cannot be compared."""
    now = datetime.now(UTC)
    return [next_run(what, now + timedelta(days=days)) for days in (0, 91, 182, 273)]


def _name(what: Any) -> str:
    return f"{type(what).__module__}.{type(what).__qualname__}"


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
