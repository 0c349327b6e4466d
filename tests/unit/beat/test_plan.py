"""Which ticks are sent: in time, after a takeover, after an outage."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from celery import Celery
from celery.schedules import crontab, schedule

from switchyard.beat.plan import ALL_MAX, OUTAGE, Missed, plan

START = datetime(2026, 1, 1, tzinfo=UTC)
APP = Celery("t", set_as_current=False)
MINUTE = schedule(60, app=APP)
SECOND = schedule(1, app=APP)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_a_tick_that_is_to_come_is_planned_alone() -> None:
    """It would be sent too early, or with its successor."""
    found = plan(MINUTE, START, after(50), after(200), Missed.ONCE)
    assert found is not None
    assert found.instants == (after(60),)
    assert (found.last, found.through, found.following) == (after(60), after(60), after(120))
    assert plan(MINUTE, START, after(10), after(20), Missed.ONCE) is None


@pytest.mark.parametrize("missed", Missed)
def test_a_takeover_misses_nothing(missed: Missed) -> None:
    """Ticks of the seconds in which nobody led would be lost, whatever the entry says about outages."""
    late = OUTAGE.total_seconds()
    found = plan(SECOND, START, after(late), after(late + 5), missed)
    assert found is not None
    assert found.instants == tuple(after(n + 1) for n in range(int(late)))
    assert found.following == after(late + 1)


@pytest.mark.parametrize(("missed", "sent"), [(Missed.ONCE, 1), (Missed.ALL, 60), (Missed.NONE, 0)])
@pytest.mark.parametrize("what", [MINUTE, crontab(app=APP)])
def test_after_an_outage_the_entry_decides(what: object, missed: Missed, sent: int) -> None:
    """The hour's ticks would come all at once, or none would, against what the entry says."""
    found = plan(what, START, after(3610), after(3620), missed)
    assert found is not None
    assert found.instants == tuple(after(60 * (n + 1)) for n in range(sent))
    assert found.following == after(3660)
    assert after(3600) <= found.through <= after(3610)


def test_a_year_of_seconds_is_bounded() -> None:
    """The queue would be flooded with 31 million tasks, or the leader would be busy for an hour."""
    year = 365 * 86400
    found = plan(SECOND, START, after(year), after(year), Missed.ALL)
    assert found is not None
    assert len(found.instants) == ALL_MAX
    assert found.instants[0] == after(1)
    assert found.following == after(year + 1)
    assert all(b > a for a, b in pairwise(found.instants))
