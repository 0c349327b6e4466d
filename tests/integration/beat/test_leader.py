"""Periodic entries in Redis: kept as RedBeat keeps them, sent once each, whoever leads."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import switchyard
from celery.schedules import crontab, schedule, solar
from dateutil.rrule import DAILY
from redbeat import RedBeatSchedulerEntry
from redbeat.schedules import rrule
from switchyard.beat import leader as leading
from switchyard.beat import look, storage
from switchyard.beat.clock import ServerClock
from switchyard.beat.drafting import Sender, tick_id
from switchyard.beat.entries import Entry
from switchyard.beat.instants import next_instant
from switchyard.beat.leader import CONNECTION_ERRORS, Leader
from switchyard.beat.plan import Missed, plan
from switchyard.beat.service import Beat
from switchyard.beat.storage import Record, Storage
from switchyard.cluster.state import State
from switchyard.settings import Settings
from switchyard.transport.opening import open_state

from tests.support.app import make_app
from tests.support.cluster import Cluster
from tests.support.servers import Server
from tests.support.waiting import wait_until

HOUR = timedelta(hours=1)


class Bed:
    """An application, its storage, and messages that were sent."""

    def __init__(self, server: Server) -> None:
        self.app = make_app(server.url(), switchyard.Settings(refresh=60))
        self.state: State = open_state(self.app, Settings())
        self.storage = Storage.open(self.app, self.state.client)
        self.sender = Sender(self.app)
        self.now = ServerClock(self.state.client).now()

    def install(self, **entries: dict[str, Any]) -> None:
        """Take these entries over."""
        self.storage.install(entries, self.now)

    def entry(self, name: str) -> Entry:
        """One entry as it is stored."""
        return next(
            e for e in self.storage.entries(self.storage.keys(), self.now) if e.definition.name == name
        )

    def leader(self, leads: bool = True) -> Leader:
        """A leader of some term, to be driven by turns."""
        return Leader(self.storage, self.sender, ServerClock(self.state.client), lambda: leads, look=0.1)

    def messages(self, queue: str = "celery") -> list[dict[str, Any]]:
        """What is on a queue, oldest first."""
        return [json.loads(message) for message in reversed(self.state.client.lrange(queue, 0, -1))]

    def ids(self) -> list[str]:
        """Task ids of what was sent."""
        return [message["headers"]["id"] for message in self.messages()]

    def tick(self, name: str, instant: datetime) -> str:
        """The id of an entry's tick."""
        return tick_id(self.state.keys.prefix, f"redbeat:{name}", instant)

    def go_back(self, name: str, seconds: float) -> datetime:
        """As if the entry had run last so long ago; when that was."""
        last = self.now - timedelta(seconds=seconds)
        RedBeatSchedulerEntry.from_key(f"redbeat:{name}", app=self.app).reschedule(last)
        return last


@pytest.fixture
def bed(clean_valkey: Server) -> Iterator[Bed]:
    made = Bed(clean_valkey)
    yield made
    made.sender.close()
    made.app.close()


def turn_until_sent(bed: Bed, leader: Leader, count: int) -> None:
    """Let the leader work until so many messages are on the queue, and all is recorded."""

    def done() -> bool:
        leader.turn()
        return len(bed.messages()) >= count

    wait_until(done, f"{count} messages are sent", timeout=10)
    leader.finish()


def noop(every: Any, **more: Any) -> dict[str, Any]:
    return {"task": "noop", "schedule": every, **more}


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


def test_a_tick_is_sent_in_time_with_the_id_of_its_instant(bed: Bed) -> None:
    """Another leader could not tell that it was sent."""
    bed.install(one=noop(3600, options={"missed": "all", "expires": 60}))
    last = bed.go_back("one", 3599)
    turn_until_sent(bed, bed.leader(), 1)
    (message,) = bed.messages()
    instant = last + HOUR
    assert message["headers"]["id"] == bed.tick("one", instant)
    assert message["headers"]["celery_beat_task"] is True
    assert datetime.fromisoformat(message["headers"]["expires"]) == instant + timedelta(seconds=60)
    assert set(message["properties"]).isdisjoint({"missed", "drafts", "placement"})
    assert (bed.entry("one").last, bed.entry("one").runs) == (instant, 1)
    assert dict(bed.storage.due((instant + HOUR).timestamp()))["redbeat:one"] == pytest.approx(
        (instant + HOUR).timestamp()
    )


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
    bed.storage.record([drafted.record])
    assert len(bed.messages()) == 1
    assert bed.entry("one") == moved


@pytest.mark.parametrize(("missed", "count"), [("once", 1), ("all", 5), ("none", 0)])
def test_after_an_outage_the_entry_decides(bed: Bed, missed: str, count: int) -> None:
    """Five hours' runs would come at once, or none, against what the entry says."""
    bed.install(one=noop(3600, options={"missed": missed}), mark=noop(3600))
    last = bed.go_back("one", 5 * 3600 + 60)
    bed.go_back("mark", 3599)
    turn_until_sent(bed, bed.leader(), count + 1)
    ours = [bed.tick("one", last + n * HOUR) for n in range(1, 6)][:count]
    assert set(bed.ids()) - set(ours) == {bed.tick("mark", bed.entry("mark").last)}
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


def test_what_we_do_not_place_is_sent_once_as_well(bed: Bed, clean_valkey: Server) -> None:
    """Only the first queue of a topic would get the tick, a broadcast or an expiring queue none, or two."""
    from kombu import Exchange, Queue

    topic, fanout = Exchange("news", type="topic"), Exchange("all", type="fanout")
    queues = (Queue("a", topic, routing_key="x.#"), Queue("b", topic, routing_key="x.y"), Queue("c", fanout))
    bed.app.conf.task_queues = (*queues, Queue("brief", expires=60), Queue("celery"))
    for queue in queues:
        # A connection of kombu's knows the types of exchanges that it declared itself.
        queue(bed.sender._channel).declare()
    bed.install(
        one=noop(3600, options={"exchange": "news", "routing_key": "x.y", "exchange_type": "topic"}),
        two=noop(3600, options={"queue": "brief"}),
        three=noop(3600, options={"exchange": "all", "routing_key": "x", "exchange_type": "fanout"}),
        mark=noop(3600),
    )
    before = {name: bed.go_back(name, 3600) for name in ("one", "two", "three", "mark")}
    client = clean_valkey.client()
    with client.pubsub(ignore_subscribe_messages=True) as heard:
        heard.psubscribe("/0.all*")
        turn_until_sent(bed, bed.leader(), 1)
        for name, last in before.items():
            bed.state.client.hdel(f"redbeat:{name}", "through")
            RedBeatSchedulerEntry.from_key(f"redbeat:{name}", app=bed.app).reschedule(last)
        leader = bed.leader()
        wait_until(lambda: leader.turn() > 0, "the ghost of the leader has sent all again")
        broadcasts = [got for _ in range(8) if (got := heard.get_message(timeout=0.05)) is not None]
    assert [len(bed.messages(queue)) for queue in ("a", "b", "brief", "celery")] == [1, 1, 1, 1]
    assert len(broadcasts) == 1
    assert client.pttl("brief") > 0
    client.close()


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
    leader = Leader(bed.storage, bed.sender, ServerClock(bed.state.client), lambda: sure, look=0.1)
    turn_until_sent(bed, leader, 1)
    sure = False
    wait_until(lambda: leader.turn() > 0 and not leader._drafted, "a tick is held back", timeout=10)
    sure = True
    turn_until_sent(bed, leader, 3)


def test_what_is_sent_during_a_look_is_not_drafted_again(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a burst, thousands of drafts that nobody needs would make the ticks of others late."""
    for module in (storage, look, leading):
        monkeypatch.setattr(module, "BATCH", 5)
    bed.install(**{f"e{number}": noop(2.0) for number in range(12)})
    leader = Leader(bed.storage, bed.sender, ServerClock(bed.state.client), lambda: True, look=60)
    wait_until(lambda: leader.turn() > 0 and len(leader._drafted) == 12, "all are drafted")
    leader._look_at = float("-inf")
    leader.turn()
    due = leader._drafted[-1][0]
    wait_until(lambda: ServerClock(bed.state.client).now() > due + timedelta(seconds=0.1), "all are due")
    while leader._looking is not None:
        leader.turn()
    assert len(bed.messages()) == 12
    assert min(at for at, _ in leader._waiting) > due.timestamp()


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


def instants_until(entry: Entry, last: datetime) -> Iterator[datetime]:
    """What is due of an entry after its last run, up to ``last``."""
    instant = next_instant(entry.definition.schedule, entry.last)
    while instant is not None and instant <= last:
        yield instant
        instant = next_instant(entry.definition.schedule, instant)


def test_a_storage_that_came_back_empty_gets_the_schedule_again(clean_valkey: Server) -> None:
    """A broker without persistence that restarts would end all periodic tasks until beat is restarted."""
    app = make_app(clean_valkey.url(), switchyard.Settings(refresh=60))
    app.conf.beat_schedule = {"one": noop(0.5)}
    app.set_current()
    beat = Beat(app, open_state(app, Settings()), ttl=1.0)
    beat.install()
    runs = threading.Thread(target=beat.run)
    runs.start()
    try:
        client = clean_valkey.client()
        wait_until(lambda: client.llen("celery") > 0, "it sends")
        client.flushall()
        wait_until(lambda: client.llen("celery") > 0, "it sends again")
    finally:
        beat.stop()
        runs.join(20)
        app.close()
