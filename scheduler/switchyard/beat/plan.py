"""Which ticks of an entry to send, and from where it goes on: a value, without a clock or a server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice
from typing import Any

from switchyard.beat.instants import next_instant, skip

#: A tick that is later than this was missed. A takeover takes less, so that no tick is missed by it.
OUTAGE = timedelta(seconds=30)
#: Missed ticks of one entry that are sent at most, the oldest first: a day of one that is due each 2 minutes.
ALL_MAX = 1000


class Missed(StrEnum):
    """What becomes of the ticks of an entry that nobody sent in time, because nobody led."""

    ONCE = "once"
    ALL = "all"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Plan:
    """``instants`` to send, oldest first, and ``last``, from which the entry goes on then.

    Nothing at or before ``through`` is left to send then; ``following`` is next, None if the entry is over.
    """

    instants: tuple[datetime, ...]
    last: datetime
    through: datetime
    following: datetime | None


def plan(schedule: Any, last: datetime, now: datetime, horizon: datetime, missed: Missed) -> Plan | None:
    """What is due up to ``horizon``: one tick that is still to come, or all that are late; None if nothing.

    Raises ConfigurationError for a schedule that stands still.
    """
    first = next_instant(schedule, last)
    if first is None or first > horizon:
        return None
    if first > now:
        return _plan(schedule, (first,), first, first)
    if now - first > OUTAGE and missed is not Missed.ALL:
        once = (first,) if missed is Missed.ONCE else ()
        return _plan(schedule, once, max(skip(schedule, last, now), first), now)
    instants = tuple(islice(_late(schedule, first, now), ALL_MAX))
    rest = skip(schedule, last, now) if len(instants) == ALL_MAX else first
    return _plan(schedule, instants, max(rest, instants[-1]), now)


def passed_over(schedule: Any, last: datetime, now: datetime, horizon: datetime) -> Plan | None:
    """What is due of an entry that is disabled: nothing is sent, and it goes on behind it.

    So the time that it was disabled is no outage when it is enabled again.
    """
    first = next_instant(schedule, last)
    if first is None or first > horizon:
        return None
    if first > now:
        return _plan(schedule, (), first, first)
    return _plan(schedule, (), max(skip(schedule, last, now), first), now)


def _late(schedule: Any, first: datetime, now: datetime) -> Iterator[datetime]:
    instant: datetime | None = first
    while instant is not None and instant <= now:
        yield instant
        instant = next_instant(schedule, instant)


def _plan(schedule: Any, instants: tuple[datetime, ...], last: datetime, through: datetime) -> Plan:
    return Plan(instants, last, through, next_instant(schedule, last))
