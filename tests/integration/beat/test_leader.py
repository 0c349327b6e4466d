"""A leader sends what is due, and nothing stops it from doing so."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from celery.schedules import schedule
from redbeat import RedBeatSchedulerEntry

from switchyard.beat import leader as leading
from switchyard.beat import storage, sweep
from switchyard.beat.clock import ServerClock
from switchyard.beat.leader import CONNECTION_ERRORS, Leader
from switchyard.beat.overview import overview
from tests.support.beat import Bed, noop, turn_until_sent
from tests.support.waiting import wait_until

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(("missed", "count"), [("once", 1), ("all", 5), ("none", 0)])
def test_after_an_outage_the_entry_decides(bed: Bed, missed: str, count: int) -> None:
    """Five hours' runs would come at once, or none, against what the entry says."""
    bed.install(one=noop(3600, options={"missed": missed}), last=noop(3600))
    last = bed.go_back("one", 5 * 3600 + 60)
    bed.go_back("last", 3599)
    turn_until_sent(bed, bed.leader(), count + 1)
    ours = [bed.tick("one", last + n * HOUR) for n in range(1, 6)][:count]
    assert set(bed.ids()) - set(ours) == {bed.tick("last", bed.entry("last").last)}
    assert len(bed.ids()) == count + 1
    assert bed.entry("one").last == last + 5 * HOUR


def test_who_does_not_lead_sends_nothing(bed: Bed) -> None:
    """A leader that stepped down would go on with what it had drafted."""
    bed.install(one=noop(3600))
    bed.go_back("one", 3601)
    leader = bed.leader(leads=False)
    wait_until(lambda: leader.turn() > 0, "nothing is left to do")
    assert bed.messages() == []


def test_a_server_that_forgot_the_scripts_is_taught_again(bed: Bed) -> None:
    """After a restart of the server nothing would be sent for as long as the leader lives."""
    bed.install(one=noop(3600), two=noop(3600), three=noop(3600))
    for count, name in enumerate(("one", "two"), 1):
        bed.go_back(name, 3600)
        turn_until_sent(bed, bed.leader(), count)
    bed.go_back("three", 3600)
    bed.state.client.script_flush()
    with pytest.raises(CONNECTION_ERRORS):
        turn_until_sent(bed, bed.leader(), 3)
    turn_until_sent(bed, bed.leader(), 3)
    assert len(set(bed.ids())) == 3


def test_one_bad_entry_does_not_hold_up_the_others(bed: Bed) -> None:
    """An entry that can't be read or sent, or is disabled, would stop all periodic tasks."""
    bed.install(
        good=noop(3600),
        unroutable=noop(3600, options={"placement": {"strategy": "no such"}}),
        off=noop(3600, enabled=False),
    )
    RedBeatSchedulerEntry("still", "noop", schedule(0), app=bed.app).save()
    for name in ("good", "unroutable", "off"):
        bed.go_back(name, 3600)
    bed.state.client.hset("redbeat:broken", "definition", "{")
    bed.state.client.zadd("redbeat::schedule", {"redbeat:broken": 1, "redbeat:gone": 1})
    leader = bed.leader()
    turn_until_sent(bed, leader, 1)
    wait_until(lambda: leader.turn() > 0, "nothing is left to do")
    assert len(bed.messages()) == 1
    assert "redbeat:gone" not in set(bed.storage.keys())


def test_an_entry_that_is_deleted_and_saved_again_goes_on(bed: Bed) -> None:
    """A deployment that replaces an entry would silence it for a minute, and lose ticks."""
    bed.install(one=noop(2.0))
    leader = bed.leader()
    wait_until(lambda: leader.turn() > 0 and leader._waiting, "the leader has found it")
    RedBeatSchedulerEntry.from_key("redbeat:one", app=bed.app).delete()
    until = time.monotonic() + 3
    while time.monotonic() < until:
        time.sleep(leader.turn() / 4)
    assert bed.messages() == []
    RedBeatSchedulerEntry("one", "noop", schedule(0.5), app=bed.app).save()
    turn_until_sent(bed, leader, 3)


def test_a_leader_that_is_not_sure_for_a_moment_goes_on(bed: Bed) -> None:
    """What was due in that moment would not be sent again for as long as its term lasts."""
    bed.install(one=noop(0.2))
    sure = True
    leader = Leader(bed.storage, bed.sender, ServerClock(bed.state.client), lambda: sure, sweep_every=0.1)
    turn_until_sent(bed, leader, 1)
    sure = False
    wait_until(lambda: leader.turn() > 0 and not leader._drafted, "a tick is held back", timeout=10)
    sure = True
    turn_until_sent(bed, leader, 3)


def test_what_is_sent_during_a_sweep_is_not_drafted_again(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a burst, thousands of drafts that nobody needs would make the ticks of others late."""
    for module in (storage, sweep, leading):
        monkeypatch.setattr(module, "BATCH", 5)
    bed.install(**{f"e{number}": noop(2.0) for number in range(12)})
    leader = Leader(bed.storage, bed.sender, ServerClock(bed.state.client), lambda: True, sweep_every=60)
    wait_until(lambda: leader.turn() > 0 and len(leader._drafted) == 12, "all are drafted")
    leader._sweep_at = float("-inf")
    leader.turn()
    due = leader._drafted[-1][0]
    wait_until(lambda: ServerClock(bed.state.client).now() > due + timedelta(seconds=0.1), "all are due")
    while leader._sweeping is not None:
        leader.turn()
    assert len(bed.messages()) == 12
    assert min(at for at, _ in leader._waiting) > due.timestamp()


@pytest.mark.parametrize("missed", ["once", "all"])
def test_the_time_while_an_entry_was_disabled_is_no_outage(bed: Bed, missed: str) -> None:
    """An entry that is enabled again would send what was due in the meantime, all in one burst."""
    bed.install(one=noop(1.0, options={"missed": missed}, enabled=False), last=noop(3600))
    ran = bed.go_back("one", 25)
    bed.go_back("last", 3600)
    leader = bed.leader()
    turn_until_sent(bed, leader, 1)
    wait_until(lambda: bed.entry("one").last > ran + timedelta(seconds=20) or leader.turn(), "it goes on")
    assert {row.name: row for row in overview(bed.app, bed.state)[1]}["one"].last_run is None
    entry = RedBeatSchedulerEntry.from_key("redbeat:one", app=bed.app)
    entry.enabled = True
    entry.save()
    turn_until_sent(bed, leader, 2)
    assert len(bed.messages()) <= 3


def test_an_entry_that_was_evicted_is_put_back_and_named(bed: Bed, caplog: pytest.LogCaptureFixture) -> None:
    """A server that is short of memory would end a periodic task without a word."""
    bed.install(one=noop(0.5))
    RedBeatSchedulerEntry("theirs", "noop", schedule(0.5), app=bed.app).save()
    bed.state.client.delete("redbeat:one", "redbeat:theirs")
    leader = bed.leader()
    turn_until_sent(bed, leader, 1)
    assert bed.storage.keys() == ["redbeat:one"]
    said = {record.getMessage().split(" ")[2] for record in caplog.records if "noeviction" in record.message}
    assert said == {"redbeat:one", "redbeat:theirs"}


def test_a_schedule_that_was_evicted_is_made_anew(bed: Bed, caplog: pytest.LogCaptureFixture) -> None:
    """All periodic tasks would end without a word, for as long as the leader lives."""
    bed.install(one=noop(0.5), two=noop(3600))
    leader = bed.leader()
    turn_until_sent(bed, leader, 1)
    bed.state.client.delete("redbeat::schedule")
    turn_until_sent(bed, leader, 3)
    assert set(bed.storage.keys()) == {"redbeat:one", "redbeat:two"}
    assert "noeviction" in caplog.text


def test_each_tick_is_logged_as_celery_does(bed: Bed, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody could see in the log that a periodic task was sent; or it would be said before it was."""
    caplog.set_level("INFO")
    bed.install(one=noop(3600), two=noop(3600, options={"missed": "all"}))
    bed.go_back("one", 3600)
    bed.go_back("two", 2 * 3600)
    other = bed.leader(leads=False)
    for _ in range(20):
        other.turn()
    assert "Sending due task" not in caplog.text
    turn_until_sent(bed, bed.leader(), 3)
    assert caplog.text.count("Sending due task one (noop)") == 1
    assert caplog.text.count("Sending due task two (noop)") == 2
