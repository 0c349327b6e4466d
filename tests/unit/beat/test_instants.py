"""The instants of schedules are those of Celery 5.7, in every version, also over a change of the clocks.

They are recorded in instants.json, by ``python -m tests.unit.beat.test_instants`` with Celery 5.7.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import celery
import pytest
from celery import Celery
from celery.schedules import BaseSchedule, crontab, schedule, solar
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


#: For each zone, schedule and night: the first instant, then how often which step follows, in seconds.
RECORD = Path(__file__).with_name("instants.json")
#: Celery sleeps in floats, and looks for the sun again from where it woke.
CLOSE = {solar: timedelta(seconds=2)}

#: Before 5.7 Celery itself is an hour early, late or silent on such a night.
needs_right_celery = pytest.mark.skipif(
    celery.VERSION < (5, 7), reason="Celery before 5.7 is an hour off when clocks change: nothing to compare"
)
each_night = pytest.mark.parametrize(
    ("zone", "name", "night"),
    [
        (zone, name, night)
        for zone, nights in CHANGES.items()
        for name in SCHEDULES
        for night in range(len(nights))
    ],
)


def schedule_in(zone: str, name: str) -> Any:
    app = Celery("t", set_as_current=False)
    app.conf.timezone = zone
    what = SCHEDULES[name]()
    what.app = app
    return what


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
    return found


def ours(what: Any, start: datetime, end: datetime) -> list[datetime]:
    found, instant = [], next_instant(what, start)
    while instant is not None and instant < end:
        found.append(instant)
        instant = next_instant(what, instant)
    return found


def recorded(zone: str, name: str, night: int) -> Iterator[datetime]:
    """What is in the record, instant by instant."""
    first, *steps = json.loads(RECORD.read_text())[zone][name][night]
    instant = datetime.fromisoformat(first)
    yield instant
    for count, seconds in steps:
        for _ in range(count):
            instant += timedelta(seconds=seconds)
            yield instant


def same(found: list[datetime], expected: list[datetime], what: Any) -> bool:
    close = CLOSE.get(type(what), timedelta(milliseconds=10))
    return len(found) == len(expected) and all(
        abs(a - b) < close for a, b in zip(found, expected, strict=True)
    )


@each_night
def test_instants_are_the_same_in_every_version_of_celery(zone: str, name: str, night: int) -> None:
    """Broken if leaders of two versions give one tick two ids, and it is sent twice, or never."""
    what, start = schedule_in(zone, name), CHANGES[zone][night]
    assert same(ours(what, start, start + timedelta(days=2)), list(recorded(zone, name, night)), what)


@needs_right_celery
@each_night
def test_instants_are_celerys(zone: str, name: str, night: int) -> None:
    """Broken if an entry runs at another time than with celery beat, twice, or not at all on such a night."""
    what, start = schedule_in(zone, name), CHANGES[zone][night]
    assert same(celerys(what, start, start + timedelta(days=2)), list(recorded(zone, name, night)), what)


def test_an_instant_does_not_depend_on_who_asks_when() -> None:
    """Broken if two leaders give one tick two ids, and it is sent twice."""
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


def test_an_interval_keeps_its_step_over_an_outage() -> None:
    """What runs at each full hour would run at another minute for ever after an outage."""
    what = schedule(3600, app=Celery("t", set_as_current=False))
    start = datetime(2026, 1, 1, tzinfo=UTC)
    assert skip(what, start, start + timedelta(hours=5, minutes=7)) == start + timedelta(hours=5)


@pytest.mark.parametrize("relative", [False, True])
def test_a_schedule_that_stands_still_is_refused(relative: bool) -> None:
    """Broken if the leader sends one entry for ever, and no other."""
    with pytest.raises(ConfigurationError, match="interval above zero"):
        next_instant(schedule(0, relative, app=Celery("t", set_as_current=False)), datetime.now(UTC))


class Mine(BaseSchedule):
    """A schedule of somebody's that fails."""

    def remaining_estimate(self, last_run_at: datetime) -> timedelta:
        """As a bug in it would."""
        raise KeyError("opening hours")


def test_a_schedule_that_fails_is_refused() -> None:
    """Broken if one bad schedule ends the leader, and so all periodic tasks."""
    with pytest.raises(ConfigurationError, match="does not say when it is due: 'opening hours'"):
        next_instant(Mine(app=Celery("t", set_as_current=False)), datetime.now(UTC))


def record() -> None:
    """Write the record from what Celery does."""
    found: dict[str, dict[str, list[Any]]] = {}
    for zone, nights in CHANGES.items():
        for name in SCHEDULES:
            for start in nights:
                instants = celerys(schedule_in(zone, name), start, start + timedelta(days=2))
                steps = groupby(round((b - a).total_seconds(), 1) for a, b in pairwise(instants))
                row = [instants[0].isoformat(), *([len(list(equal)), step] for step, equal in steps)]
                found.setdefault(zone, {}).setdefault(name, []).append(row)
    RECORD.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    record()
