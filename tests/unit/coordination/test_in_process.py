"""Locks and elections of an application whose broker is the memory of this process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial

import pytest
from celery import Celery

import switchyard
from switchyard.coordination import in_process
from switchyard.coordination.in_process import InProcess
from switchyard.errors import LockLost, LockNotAcquired, UnsupportedBroker
from switchyard.install import installation
from tests.support.waiting import wait_until


@pytest.fixture(autouse=True)
def app() -> Iterator[Celery]:
    """An application of the tests of a user."""
    app = Celery("shop", broker="memory://", set_as_current=True)
    switchyard.install(app, switchyard.Settings())
    yield app
    app.close()


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        """The time now."""
        return self.at


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of grants."""
    made = Clock()
    monkeypatch.setattr(in_process, "now", made)
    return made


def test_one_holder_at_a_time_with_growing_tokens() -> None:
    """Broken if a test suite on memory:// cannot run code with locks, or they exclude nobody."""
    with switchyard.lock("month") as first:
        with pytest.raises(LockNotAcquired, match="held by another"):
            switchyard.lock("month").acquire()
        with switchyard.lock("year"):
            first.renew()
    with switchyard.lock("month") as second:
        assert second.token > first.token
    with pytest.raises(LockLost):
        second.release()


def test_the_line_is_first_come_first_served() -> None:
    """Broken if a waiter in a test waits for ever, or out of turn."""
    served: list[int] = []

    def serve(number: int) -> None:
        with switchyard.lock("month", wait=20):
            served.append(number)

    waiters = [threading.Thread(target=serve, args=(number,)) for number in range(3)]
    with switchyard.lock("month", wait=0.1):
        with pytest.raises(LockNotAcquired):
            switchyard.lock("month", wait=0.1).acquire()
        for number, waiter in enumerate(waiters, start=1):
            waiter.start()
            wait_until(partial(stand, number), f"{number} are in the line")
    for waiter in waiters:
        waiter.join(20)
    assert served == [0, 1, 2]


def stand(number: int) -> bool:
    """Whether so many stand in the line."""
    (seat,) = switchyard.coordination.servers.voters(None, 30)._seats
    return isinstance(seat._voter, InProcess) and len(seat._voter._lines["lock:month"]) == number


def test_a_grant_ends_with_its_ttl(clock: Clock) -> None:
    """Broken if what a thread that died held is held for ever, or its late end is the next holder's."""
    grants = InProcess()
    assert grants.grant("month", "a", 2000, 0, False).granted
    clock.at += 1.9
    assert grants.renew("month", "a", 2000, 7)
    clock.at += 1.9
    refused = grants.grant("month", "b", 2000, 0, True)
    assert not refused.granted
    assert refused.left == pytest.approx(0.1)
    clock.at += 0.2
    assert grants.grant("month", "b", 2000, 0, True).granted
    assert not grants.renew("month", "a", 2000, 7)
    assert not grants.release("month", "a")
    assert grants.release("month", "b")


def test_a_place_in_the_line_ends_when_nobody_asks(clock: Clock) -> None:
    """Broken if a waiter that gave up without a word keeps the others out."""
    grants = InProcess()
    grants.grant("month", "a", 60_000, 0, False)
    grants.grant("month", "gone", 60_000, 0, True)
    grants.grant("month", "b", 60_000, 0, True)
    grants.release("month", "a")
    assert not grants.grant("month", "b", 60_000, 0, True).granted
    clock.at += 1.6
    assert grants.grant("month", "b", 60_000, 0, True).granted


def test_asking_twice_is_asking_once() -> None:
    """Broken if a holder that asks again gets another token, with which it would fence itself."""
    grants = InProcess()
    first, again = (grants.grant("month", "a", 60_000, 0, False) for _ in range(2))
    assert first == again


def test_an_election_is_won() -> None:
    """Broken if code that acts only where it leads does nothing in a test."""
    with switchyard.Election("closing") as election, switchyard.Election("closing") as other:
        wait_until(lambda: election.is_leader != other.is_leader, "one of them leads")


def test_any_other_broker_is_refused_in_one_line(app: Celery) -> None:
    """Broken if a lock that excludes nobody on other machines is granted, or refused in no clear words."""
    app.conf.broker_url = "amqp://localhost"
    installation(app).broker.forget()
    with pytest.raises(UnsupportedBroker, match=r"of 'shop' is neither.*; pass servers=.*memory://$"):
        switchyard.lock("month").acquire()
