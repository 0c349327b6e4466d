"""Celery's schedules in the version at hand: they say what we take them to say, and stay as they are."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import Celery
from celery.schedules import crontab, schedule, solar

from switchyard.adapters.celery.schedules import follows_the_sun, interval_of, next_run

APP = Celery("t", set_as_current=False)
APP.conf.timezone = "Europe/Berlin"
START = datetime(2026, 6, 1, tzinfo=UTC)


def nowhere() -> datetime:
    raise AssertionError("the clock was asked")


@pytest.mark.parametrize(
    "what",
    [
        crontab(minute="*/7", nowfun=nowhere, app=APP),
        schedule(90, nowfun=nowhere, app=APP),
        schedule(3600, relative=True, nowfun=nowhere, app=APP),
        solar("sunset", 52.5, 13.4, nowfun=nowhere, app=APP),
    ],
    ids=str,
)
def test_many_may_ask_one_schedule_at_once(what: Any) -> None:
    """Broken if what one thread takes for now becomes another's, so that a tick has the wrong instant."""
    starts = [START + timedelta(hours=number) for number in range(200)]
    alone = [next_run(what, start) for start in starts]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda start: next_run(what, start), starts)) == alone
    assert what.nowfun is nowhere
    assert len(set(alone)) > 5


def test_a_rounded_interval_is_not_caught_in_an_hour_that_comes_twice() -> None:
    """Broken if what is installed in the second of the two hours is due in the first, and never sent."""
    what = schedule(600, relative=True, app=APP)
    second_hour = datetime(2026, 10, 25, 1, 5, tzinfo=UTC)
    assert next_run(what, second_hour) == second_hour + timedelta(minutes=10)


def test_a_day_is_one_of_the_calendar() -> None:
    """Broken if what runs at midnight runs at one o'clock when clocks go forward."""
    what = schedule(timedelta(days=1), relative=True, app=APP)
    before = datetime(2026, 3, 28, 23, tzinfo=UTC)
    assert next_run(what, before) == before + timedelta(hours=23)


def test_kinds_are_told_apart() -> None:
    """Broken if a rounded interval keeps its step instead, or the sun's next event is found again."""
    assert interval_of(schedule(90, app=APP)) == timedelta(seconds=90)
    assert interval_of(schedule(90, relative=True, app=APP)) is None
    assert interval_of(crontab(app=APP)) is None
    assert follows_the_sun(solar("sunset", 52.5, 13.4, app=APP))
    assert not follows_the_sun(crontab(app=APP))
