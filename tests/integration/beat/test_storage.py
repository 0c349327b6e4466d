"""Periodic entries are kept as RedBeat keeps them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import switchyard
from celery.schedules import crontab, schedule, solar
from dateutil.rrule import DAILY
from redbeat import RedBeatSchedulerEntry
from redbeat.schedules import rrule
from switchyard.beat.storage import Record

from tests.support.beat import Bed, noop

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
