"""The server's clock steps back by an hour: a dead task's flight ends all the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from switchyard.cached_tasks.flights import Flight, Flights, Stage
from switchyard.cluster.keys import Keys
from tests.integration.clocks import SteppedServer, stepped_server
from tests.support.waiting import wait_until

HOUR = 3600.0
LEASE = 1.0
DEAD, NEXT = Flight("dead", Stage.RUNNING), Flight("next", Stage.RUNNING)


@pytest.fixture
def server() -> Iterator[SteppedServer]:
    with stepped_server() as server:
        yield server


@pytest.fixture
def flights(server: SteppedServer) -> Flights:
    return Flights(server.client(), Keys(), patience=5.0)


def test_callers_wait_for_a_dead_task_no_longer_than_a_lease(flights: Flights, server: SteppedServer) -> None:
    """Broken if a key is blocked until the clock has caught up with what the dead one held."""
    flights.board("k", DEAD, LEASE)
    server.step(-HOUR)
    assert flights.join("k", Flight("caller"), LEASE) == DEAD
    wait_until(
        lambda: flights.join("k", Flight("caller"), LEASE).task_id == "caller", "it is free", timeout=10
    )


def test_a_task_that_starts_takes_over_from_a_dead_one(flights: Flights, server: SteppedServer) -> None:
    """Broken if every task of this key waits for as long."""
    flights.board("k", DEAD, LEASE)
    server.step(-HOUR)
    wait_until(lambda: flights.board("k", NEXT, LEASE) == NEXT, "it has it", timeout=10)


def test_a_live_task_keeps_it(flights: Flights, server: SteppedServer) -> None:
    """Broken if a step lets a second task compute beside one that says that it lives."""
    flights.board("k", DEAD, 60)
    server.step(-HOUR)
    for _ in range(5):
        assert flights.board("k", NEXT, 60) == DEAD
        assert flights.change("k", DEAD, DEAD, 60)
