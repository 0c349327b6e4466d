"""The instants of schedules are Celery's own: compared with celery.beat's over a change of the clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import Celery
from celery.schedules import crontab, schedule, solar
from dateutil.rrule import DAILY
from redbeat.schedules import rrule
from switchyard.beat.instants import next_instant, skip
from switchyard.errors import ConfigurationError

#: Nights on which the clocks of Berlin change, and of Lord Howe Island, by half an hour.
CHANGES = {
    "Europe/Berlin": (datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 10, 24, 12, tzinfo=UTC)),
    "Australia/Lord_Howe": (datetime(2026, 4, 4, 3, tzinfo=UTC), datetime(2026, 10, 3, 3, tzinfo=UTC)),
    "UTC": (datetime(2026, 12, 31, 12, tzinfo=UTC),),
}
SCHEDULES = {
    "each minute": crontab,
    "each quarter": lambda: crontab(minute="*/15"),
    "half past each hour": lambda: crontab(minute=30),
    "at half past two, which there is twice or never": lambda: crontab(minute=30, hour=2),
    "at two and at three": lambda: crontab(minute=0, hour="2,3"),
    "on sundays and fridays": lambda: crontab(minute=5, hour="*/2", day_of_week="sun,fri"),
    "on some days of the month": lambda: crontab(minute=15, hour=1, day_of_month="1,4,5,25,29"),
    "each 10 minutes": lambda: schedule(timedelta(minutes=10)),
    "each hour, on the hour": lambda: schedule(timedelta(hours=1), relative=True),
    "each day, at midnight": lambda: schedule(timedelta(days=1), relative=True),
    "at sunrise": lambda: solar("sunrise", 52.5, 13.4),
    "at the end of dusk": lambda: solar("dusk_civil", 52.5, 13.4),
}


def celerys(what: Any, start: datetime, end: datetime) -> list[datetime]:
    """When celery.beat would send: it sleeps for as long as is_due says, and runs at once."""
    now = last = start
    what.nowfun = lambda: now.astimezone(what.tz)
    found = []
    while now < end:
        due, seconds = what.is_due(last.astimezone(what.tz))
        if due and now > start:
            found.append(now)
            last = now
        now += timedelta(seconds=max(seconds, 0.000_001))
    what.nowfun = None
    return found


def ours(what: Any, start: datetime, end: datetime) -> list[datetime]:
    found, instant = [], next_instant(what, start)
    while instant is not None and instant < end:
        found.append(instant)
        instant = next_instant(what, instant)
    return found


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("zone", CHANGES)
def test_instants_are_celerys(zone: str, name: str) -> None:
    """An entry would run at another time than with celery beat, twice, or not at all on such a night."""
    app = Celery("t", set_as_current=False)
    app.conf.timezone = zone
    what = SCHEDULES[name]()
    what.app = app
    for start in CHANGES[zone]:
        end = start + timedelta(days=2)
        expected, found = celerys(what, start, end), ours(what, start, end)
        assert found, "nothing is due, so nothing is compared"
        assert len(found) == len(expected)
        # Celery sleeps in floats, and looks for the sun again from where it woke.
        for mine, theirs in zip(found, expected, strict=True):
            assert abs(mine - theirs) < timedelta(seconds=2 if isinstance(what, solar) else 0.01)


def test_an_instant_does_not_depend_on_who_asks_when() -> None:
    """Two leaders would give one tick two ids, and it would be sent twice."""
    app = Celery("t", set_as_current=False)
    what = schedule(7.5, app=app)
    start = datetime(2026, 1, 1, 0, 0, 0, 123456, UTC)
    assert next_instant(what, start) == start + timedelta(seconds=7.5)
    local = start.astimezone(app.timezone)
    assert next_instant(what, local) == start + timedelta(seconds=7.5)


def test_a_schedule_of_redbeat_ends() -> None:
    """An rrule with a count would raise, or go on for ever."""
    app = Celery("t", set_as_current=False)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    what = rrule(DAILY, dtstart=start, count=3, app=app)
    assert ours(what, start - timedelta(hours=1), start + timedelta(days=9)) == [
        start + timedelta(days=day) for day in range(3)
    ]
    assert next_instant(what, start + timedelta(days=2)) is None


def test_a_schedule_that_stands_still_is_refused() -> None:
    """The leader would send one entry for ever, and no other."""
    with pytest.raises(ConfigurationError, match="interval above zero"):
        next_instant(schedule(0, app=Celery("t", set_as_current=False)), datetime.now(UTC))


def test_an_interval_keeps_its_step_over_an_outage() -> None:
    """What runs at each full hour would run at another minute for ever after an outage."""
    what = schedule(3600, app=Celery("t", set_as_current=False))
    start = datetime(2026, 1, 1, tzinfo=UTC)
    assert skip(what, start, start + timedelta(hours=5, minutes=7)) == start + timedelta(hours=5)
