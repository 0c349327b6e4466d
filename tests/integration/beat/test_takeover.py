"""Ticks are sent once each, whoever leads and wherever a leader died."""

from __future__ import annotations

import random
import time
from datetime import timedelta

import pytest

from switchyard.beat.plan import Missed, plan
from tests.support.beat import Bed, instants_until, noop, turn_until_sent
from tests.support.cluster import Cluster
from tests.support.servers import Server
from tests.support.waiting import wait_until

HOUR = timedelta(hours=1)


def test_a_leader_that_died_before_it_recorded_is_found_out(bed: Bed) -> None:
    """Its successor would send the tick again."""
    bed.install(one=noop(3600))
    instant = bed.go_back("one", 3600) + HOUR
    entry = bed.entry("one")
    what = plan(entry.definition.schedule, entry.last, bed.now, bed.now, Missed.ONCE)
    assert what is not None
    bed.sender.send([bed.sender.draft(entry, what, bed.now)])
    assert bed.ids() == [bed.tick("one", instant)]
    leader = bed.leader()
    wait_until(lambda: leader.turn() == 0 and bed.entry("one").last == instant, "the successor records it")
    assert bed.ids() == [bed.tick("one", instant)]


@pytest.mark.parametrize("strategy", ["least_load", "random"])
def test_a_leader_that_slept_sends_nothing_again_and_moves_nothing_back(
    bed: Bed, clean_valkey: Server, strategy: str
) -> None:
    """A paused process would double a tick, or rewind the entry, when it wakes."""
    Cluster.on(clean_valkey).join("n1")
    bed.install(one=noop(3600, options={"placement": {"strategy": strategy}}))
    bed.go_back("one", 2 * 3600)
    entry = bed.entry("one")
    old = plan(entry.definition.schedule, entry.last, entry.last + HOUR, entry.last + HOUR, Missed.ONCE)
    assert old is not None
    drafted = bed.sender.draft(entry, old, bed.now)
    turn_until_sent(bed, bed.leader(), 1)
    moved = bed.entry("one")
    bed.sender.send([drafted])
    bed.storage.record([drafted.record()])
    assert len(bed.messages()) == 1
    assert bed.entry("one") == moved


@pytest.mark.timing
def test_leaders_that_die_at_any_point_lose_and_double_nothing(bed: Bed) -> None:
    """Some order of dying, sleeping and waking up again would lose ticks, or send one twice."""
    dice = random.Random(7)
    bed.install(**{f"e{number}": noop(0.5 + number / 100) for number in range(50)})
    before = {entry.key: entry for entry in bed.storage.entries(bed.storage.keys(), bed.now)}
    leader, asleep, deaths = bed.leader(), [], 0
    began = time.monotonic()
    deadline = began + 30
    while deaths < 40 or time.monotonic() < began + 3 or leader.turn() == 0:
        assert time.monotonic() < deadline, f"only {deaths} deaths"
        if dice.random() < 0.05 and deaths < 40:
            # Its drafts and records, at whatever point it was, wake up when a successor has gone on.
            asleep.append(leader)
            leader, deaths = bed.leader(), deaths + 1
        elif leader.turn() > 0:
            time.sleep(0.005)
        if asleep and dice.random() < 0.05:
            dice.choice(asleep).turn()
    leader.finish()
    due = {
        bed.tick(entry.definition.name, instant)
        for entry in before.values()
        for instant in instants_until(entry, bed.entry(entry.definition.name).last)
    }
    sent = bed.ids()
    assert len(sent) == len(set(sent))
    assert set(sent) >= due
    assert len(due) > 50
