"""The server's clock steps back by an hour while periodic tasks are sent."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta

import pytest

from switchyard.beat.clock import ServerClock
from switchyard.beat.entries import to_us
from switchyard.beat.leader import Leader
from switchyard.beat.leadership import announce, leadership
from switchyard.models import Tick
from tests.integration.clocks import SteppedServer, stepped_server
from tests.support.beat import Bed, noop
from tests.support.waiting import wait_until

HOUR = 3600.0


@pytest.fixture
def server() -> Iterator[SteppedServer]:
    with stepped_server() as server:
        yield server


@pytest.fixture
def bed(server: SteppedServer) -> Iterator[Bed]:
    made = Bed(server)
    yield made
    made.sender.close()
    made.app.close()


def sends(bed: Bed, leader: Leader, more: int = 2) -> None:
    """The leader works until so many more messages are sent."""
    before = len(bed.messages())

    def done() -> bool:
        leader.turn()
        return len(bed.messages()) >= before + more

    wait_until(done, f"{more} more messages are sent", timeout=8)


def test_a_leader_goes_on_sending_after_a_step(bed: Bed, server: SteppedServer) -> None:
    """Broken if periodic tasks pause until the server's clock has caught up."""
    bed.install(one=noop(0.5))
    leader = bed.leader()
    sends(bed, leader)
    server.step(-HOUR)
    sends(bed, leader, more=4)


def test_the_next_leader_sends_after_a_step(bed: Bed, server: SteppedServer) -> None:
    """Broken if a failover to a server whose clock is behind silences periodic tasks."""
    bed.install(one=noop(0.5))
    first = bed.leader()
    sends(bed, first)
    first.finish()
    server.step(-HOUR)
    sends(bed, bed.leader(), more=4)


def test_entries_that_are_made_again_are_sent_after_a_step(bed: Bed, server: SteppedServer) -> None:
    """Broken if what is remembered of an entry outlives it, and refuses the ticks of its successor."""
    bed.install(one=noop(0.5))
    first = bed.leader()
    sends(bed, first)
    first.finish()
    server.step(-HOUR)
    bed.now = ServerClock(bed.state.client).now()
    bed.install()
    bed.install(one=noop(0.5))
    sends(bed, bed.leader(), more=4)


def test_a_refused_tick_is_not_booked_as_sent(bed: Bed, caplog: pytest.LogCaptureFixture) -> None:
    """Broken if an entry counts runs that never were, and nobody can see why its task does not run."""
    bed.install(one=noop(3600.0))
    last = bed.go_back("one", 3590.0)
    due = last + timedelta(seconds=3600)
    bed.state.mark(Tick("redbeat:one", to_us(due), to_us(due)))
    runs = bed.entry("one").runs
    leader = bed.leader()

    def moved() -> bool:
        leader.turn()
        return bed.entry("one").last >= due

    with caplog.at_level(logging.INFO):
        wait_until(moved, "the entry goes on", timeout=14)
    leader.finish()
    assert bed.messages() == []
    assert bed.entry("one").runs == runs
    assert "was sent before" in caplog.text


def test_a_leader_has_not_led_for_less_than_nothing(bed: Bed, server: SteppedServer) -> None:
    """Broken if --list says that a process has led for -3600 s."""
    bed.state.client.hset(bed.state.keys.grant("election:e"), "token", 7)
    announce(bed.state, 7)
    server.step(-HOUR)
    said = leadership(bed.state, "e")
    assert said is not None
    assert said.age >= 0
