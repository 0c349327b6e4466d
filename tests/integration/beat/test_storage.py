"""Periodic entries are kept as RedBeat keeps them."""

from __future__ import annotations

import base64
import json
import uuid
from datetime import UTC, date, datetime, timedelta
from datetime import time as datetime_time
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from celery.schedules import crontab, schedule, solar
from dateutil.rrule import DAILY
from redbeat import RedBeatSchedulerEntry
from redbeat.schedules import rrule

import switchyard
from switchyard.beat.instants import next_instant
from switchyard.beat.storage import Record
from tests.support.beat import Bed, noop, turn_until_sent

HOUR = timedelta(hours=1)


def test_every_type_of_schedule_is_kept(bed: Bed) -> None:
    """RedBeat itself could not read an entry, or what it says would be another schedule."""
    schedules = {
        "cron": crontab(minute="*/5", hour="8-17", day_of_week="mon-fri"),
        "interval": schedule(90.0),
        "sun": solar("sunset", 52.5, 13.4),
        "rule": rrule(DAILY, dtstart=datetime(2026, 1, 1, tzinfo=UTC), count=10**5),
    }
    bed.install(**{name: noop(what) for name, what in schedules.items()})
    for name, what in schedules.items():
        what.app = bed.app
        kept = bed.entry(name).definition.schedule
        assert str(kept) == str(what)
        if name != "sun":
            assert RedBeatSchedulerEntry.from_key(f"redbeat:{name}", app=bed.app).task == "noop"


def test_beat_schedule_is_taken_over_and_changes_are_kept(bed: Bed) -> None:
    """A restart would forget when entries ran, keep what was removed, or remove what another added."""
    bed.install(one=noop(3600), two=noop(60.0))
    RedBeatSchedulerEntry("theirs", "noop", schedule(10), app=bed.app).save()
    last = bed.go_back("one", 1800)
    bed.install(one=noop(7200, args=[1]))
    names = {entry.definition.name for entry in bed.storage.entries(bed.storage.keys(), bed.now)}
    assert names == {"one", "theirs"}
    assert bed.entry("one").last == last
    assert bed.entry("one").definition.args == [1]
    due = dict(bed.storage.due((last + timedelta(seconds=7200)).timestamp()))
    assert due["redbeat:one"] == pytest.approx((last + timedelta(seconds=7200)).timestamp())


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (noop(60, options={"missed": "al"}), "missed='al'; known are once, all, none"),
        (noop(0), "an interval above zero"),
        (noop(None), "None"),
        ({"schedule": 60}, "no task"),
    ],
)
def test_a_wrong_entry_is_refused_by_name(bed: Bed, wrong: dict[str, Any], why: str) -> None:
    """A misspelt policy would silently mean another one; a schedule that stands still would fail later."""
    with pytest.raises(switchyard.ConfigurationError, match=f"'one' .*{why}"):
        bed.install(one=wrong)
    assert bed.storage.keys() == []


class Weekdays(schedule):
    """An interval that its author lets rest at weekends."""

    def is_due(self, last_run_at: datetime) -> Any:
        """On weekdays, say."""
        return super().is_due(last_run_at)


def patched() -> schedule:
    """A schedule one of whose functions was replaced."""
    made = schedule(60)
    made.is_due = lambda last_run_at: (False, 60.0)
    return made


@pytest.mark.parametrize(
    ("what", "why"),
    [
        (noop(Weekdays(60)), r"test_storage\.Weekdays"),
        (noop(patched()), "is_due of its own"),
        (noop(crontab(nowfun=lambda: datetime.now(UTC))), "nowfun of its own"),
        (noop(60, args=[{1, 2}]), "set is not JSON serializable"),
        (noop(60, args=[(1, (2, 3))], options={"serializer": "pickle"}), r"args .* would become"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_name(bed: Bed, what: dict[str, Any], why: str) -> None:
    """A schedule or an argument would silently become another one, where Celery takes it as it is."""
    with pytest.raises(switchyard.ConfigurationError, match=f"'one' cannot be kept: .*{why}"):
        bed.install(one=what)
    assert bed.storage.keys() == []


def test_a_time_zone_of_its_own_is_kept(bed: Bed) -> None:
    """What its author means for New York would run by the application's clock, or an hour off in winter."""
    york = ZoneInfo("America/New_York")
    nine, daily = crontab(minute=0, hour={9, 17}), rrule(DAILY, dtstart=datetime(2026, 7, 1, 9, tzinfo=york))
    nine.tz = york
    bed.install(one=noop(nine), two=noop(daily))
    for start in (datetime(2026, 7, 2, tzinfo=UTC), datetime(2026, 12, 2, tzinfo=UTC)):
        for name in ("one", "two"):
            due = next_instant(bed.entry(name).definition.schedule, start)
            assert due is not None
            assert due.astimezone(york).hour in {9, 17}


def test_arguments_arrive_as_celery_sends_them(bed: Bed) -> None:
    """A naive time would become UTC, and a UUID would stop all periodic tasks."""
    values = [
        datetime(2026, 1, 2, 3, 4),
        datetime(2026, 1, 2, 3, 4, tzinfo=ZoneInfo("Europe/Berlin")),
        date(2026, 1, 2),
        datetime_time(3, 4),
        uuid.UUID(int=7),
        Decimal("1.20"),
        b"\xff",
        {"__type__": "mine", "n": [1, None]},
    ]
    bed.install(one={**noop(3600, args=values, kwargs={"at": values[0]}), "task": "elsewhere"})
    assert list(bed.entry("one").definition.args) == values
    bed.go_back("one", 3600)
    turn_until_sent(bed, bed.leader(), 1)
    bed.app.send_task("elsewhere", args=values, kwargs={"at": values[0]})
    ours, celerys = (json.loads(base64.b64decode(message["body"])) for message in bed.messages())
    assert ours == celerys


def test_an_entry_that_was_deleted_or_defined_anew_meanwhile_is_left_alone(bed: Bed) -> None:
    """A record would bring a deleted entry back to life, or hide a new schedule behind the old one."""
    bed.install(one=noop(3600), two=noop(3600))
    gone, changed = bed.entry("one"), bed.entry("two")
    RedBeatSchedulerEntry.from_key("redbeat:one", app=bed.app).delete()
    RedBeatSchedulerEntry("two", "noop", schedule(10), app=bed.app).save()
    later = bed.now + HOUR
    bed.storage.record([Record.sent(entry, 1, later, later + HOUR) for entry in (gone, changed)])
    assert bed.storage.keys() == ["redbeat:two"]
    assert dict(bed.storage.due(bed.now.timestamp())) == {"redbeat:two": 0.0}
