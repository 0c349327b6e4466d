"""Flights on a real server: who has one, and that nobody ends or revives another's."""

from __future__ import annotations

import threading

import pytest

from switchyard.cached_tasks.flights import Flight, Flights, Stage
from switchyard.cluster.keys import Keys
from tests.support.servers import Server
from tests.support.waiting import wait_until

ONE, OTHER = Flight("one"), Flight("other")
RUNS = Flight("one", Stage.RUNNING)


@pytest.fixture
def flights(server: Server) -> Flights:
    return Flights(server.client(), Keys(), patience=5.0)


def test_the_first_has_it_and_the_others_are_told(flights: Flights) -> None:
    """Two callers would both publish."""
    assert flights.join("k", ONE, 60) == ONE
    assert flights.join("k", OTHER, 60) == ONE
    assert flights.join("another key", OTHER, 60) == OTHER


def test_it_ends_by_itself(flights: Flights) -> None:
    """A caller that is killed between claim and publish would block the key for ever."""
    flights.join("k", ONE, 0.05)
    wait_until(lambda: flights.join("k", OTHER, 60) == OTHER, "the flight of the dead is over", timeout=5)


def test_a_starting_task_takes_it_from_a_waiting_one_only(flights: Flights) -> None:
    """A task with a slot would wait for one without, and both for ever; or two would compute at once."""
    flights.join("k", OTHER, 60)
    assert flights.board("k", RUNS, 60) == RUNS
    assert flights.board("k", Flight("third", Stage.RUNNING), 60) == RUNS
    assert flights.board("k", RUNS, 60) == RUNS, "a task that was delivered again goes on"


@pytest.mark.parametrize("gone", ["ended", "cancelled", "taken over"])
def test_what_is_over_is_not_brought_back(flights: Flights, gone: str) -> None:
    """A result computed before an invalidation would be kept after it."""
    flights.join("k", ONE, 60)
    if gone == "ended":
        assert flights.end("k", ONE)
    elif gone == "cancelled":
        flights.cancel("k")
    else:
        flights.board("k", Flight("other", Stage.RUNNING), 60)
    assert not flights.change("k", ONE, ONE, 60)
    assert not flights.end("k", ONE)
    expected = Flight("other", Stage.RUNNING) if gone == "taken over" else OTHER
    assert flights.join("k", OTHER, 60) == expected


def test_more_threads_than_connections_wait_for_one(flights: Flights) -> None:
    """The eleventh simultaneous caller of a process would be refused a connection by kombu's pool."""
    flights.client.connection_pool.max_connections = 3
    few = Flights(flights.client, Keys(), patience=20.0)
    holders: list[Flight] = []
    threads = [
        threading.Thread(target=lambda n=n: holders.append(few.join("k", Flight(str(n)), 60)))
        for n in range(40)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(holders) == 40
    assert len(set(holders)) == 1
