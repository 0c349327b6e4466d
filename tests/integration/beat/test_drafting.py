"""A tick becomes the message that Celery would make, sent once whatever its queue is."""

from __future__ import annotations

import functools
from datetime import datetime, timedelta
from typing import Any

import pytest
from celery.beat import Scheduler
from redbeat import RedBeatScheduler, RedBeatSchedulerEntry

from switchyard.adapters.kombu_redis.features import EXPIRES_QUEUES
from tests.support.beat import Bed, noop, turn_until_sent
from tests.support.servers import Server
from tests.support.waiting import wait_until

HOUR = timedelta(hours=1)


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
        last=noop(3600),
    )
    before = {name: bed.go_back(name, 3600) for name in ("one", "two", "three", "last")}
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
    # Before kombu 5.7 no queue expires.
    assert (client.pttl("brief") > 0) == EXPIRES_QUEUES
    client.close()


def hook(monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> list[str]:
    """Wrap a function as Sentry does: a header for each tick; the names of what came through."""
    seen: list[str] = []
    original = getattr(owner, name)

    @functools.wraps(original)
    def hooked(*args: Any, **kwargs: Any) -> Any:
        scheduler, entry = args
        assert scheduler.app is not None
        seen.append(entry.name)
        headers = entry.options.pop("headers", {})
        entry.options["headers"] = {**headers, "check-in": str(entry.schedule)}
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, name, hooked)
    return seen


@pytest.mark.parametrize(
    "where", [[(Scheduler, "apply_entry")], [(RedBeatScheduler, "apply_async")],
              [(Scheduler, "apply_entry"), (RedBeatScheduler, "apply_async")]],
)  # fmt: skip
def test_a_tracing_tool_sees_each_tick_once(
    bed: Bed, monkeypatch: pytest.MonkeyPatch, where: list[tuple[type, str]]
) -> None:
    """Sentry's monitors would call periodic tasks missed that were sent, or count each of them twice."""
    seen = [hook(monkeypatch, owner, name) for owner, name in where]
    bed.install(one=noop(3600, options={"headers": {"mine": 1}}), two=noop(3600, options={"missed": "all"}))
    bed.go_back("one", 3600)
    bed.go_back("two", 2 * 3600)
    turn_until_sent(bed, bed.leader(), 3)
    assert sorted(name for names in seen for name in names) == ["one", "two", "two"]
    for message in bed.messages():
        assert message["headers"]["check-in"] == "<freq: 1.00 hour>"
        assert message["headers"]["celery_beat_task"] is True
    assert sum("mine" in message["headers"] for message in bed.messages()) == 1


def test_a_tool_that_fails_leaves_out_that_tick_alone(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tracing tool's fault would stop all periodic tasks."""

    def fail_for_one(self: Any, entry: Any, **kwargs: Any) -> Any:
        if entry.name == "one":
            raise ValueError("as asked")
        return original(self, entry, **kwargs)

    original = Scheduler.apply_entry
    monkeypatch.setattr(Scheduler, "apply_entry", fail_for_one)
    bed.install(one=noop(3600), two=noop(3600))
    bed.go_back("one", 3600)
    bed.go_back("two", 3600)
    leader = bed.leader()
    turn_until_sent(bed, leader, 1)
    wait_until(lambda: leader.turn() > 0, "nothing is left to do")
    assert len(bed.messages()) == 1
