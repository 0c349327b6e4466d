"""A node's side of claim and settle, on a connection of its own to a real server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from switchyard.adapters.redis_client import LENDS_FOR
from switchyard.cluster.claimant.claimant import Claimant
from switchyard.cluster.claimant.sources import Sources
from tests.support.cluster import Cluster
from tests.support.servers import Server

LEASE = 5.0
SOURCES = Sources(("q",), ((0, ("q",)),), True)


class Clock:
    """A clock that stands still until it is moved."""

    now = 100.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def cluster(server: Server) -> Cluster:
    cluster = Cluster.on(server)
    cluster.join("a", limit=9)
    return cluster


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def claimant(cluster: Cluster, clock: Clock) -> Claimant:
    claimant = Claimant(cluster.state, "a", 0.1, LEASE, 5, clock)
    claimant.epoch = cluster.epochs["a"]
    cluster.state.runner.load("cluster/claim", "cluster/settle")
    return claimant


@pytest.fixture
def connection(cluster: Cluster) -> Iterator[Any]:
    pool = cluster.state.client.connection_pool
    connection = pool.get_connection(*LENDS_FOR)
    yield connection
    connection.disconnect()
    pool.release(connection)


def read_all(claimant: Claimant, connection: Any) -> list[str]:
    tags = []
    while claimant.awaiting:
        tags += [tag for tag, _ in claimant.read(connection)]
    return tags


def test_settlements_travel_with_the_next_claim(
    cluster: Cluster, claimant: Claimant, connection: Any
) -> None:
    """Every task would cost a round trip to claim and another to settle."""
    for i in range(3):
        cluster.place(f"m{i}", "a")
    claimant.start(connection, SOURCES, 2)
    tags = read_all(claimant, connection)
    for tag in tags:
        claimant.hold(tag, "t", "q")
        claimant.settle(tag)
    assert cluster.outstanding("a") == 3
    claimant.start(connection, SOURCES, 2)
    assert len(read_all(claimant, connection)) == 1
    assert cluster.outstanding("a") == 1


def test_claims_that_arrive_after_the_lease_are_not_started(
    cluster: Cluster, claimant: Claimant, connection: Any, clock: Clock
) -> None:
    """A node that wakes from a long pause would start tasks that others have by then."""
    cluster.place("m1", "a")
    claimant.start(connection, SOURCES, 1)
    clock.now += LEASE + 1
    assert read_all(claimant, connection) == []
    claimant.flush()
    assert cluster.shared() == ["m1"]
    claimant.start(connection, SOURCES, 1)
    assert len(read_all(claimant, connection)) == 1


def settle_one(cluster: Cluster, claimant: Claimant, connection: Any) -> None:
    """A task is placed, claimed and settled."""
    cluster.place("m1", "a")
    claimant.start(connection, SOURCES, 1)
    [tag] = read_all(claimant, connection)
    claimant.hold(tag, None, "q")
    claimant.settle(tag)


def test_a_server_that_forgot_its_scripts_is_taught_again(
    cluster: Cluster, claimant: Claimant, connection: Any
) -> None:
    """After a restart or a failover nodes would claim and settle nothing."""
    settle_one(cluster, claimant, connection)
    cluster.place("m2", "a")
    cluster.state.client.script_flush()
    claimant.start(connection, SOURCES, 1)
    assert read_all(claimant, connection) == []
    claimant.start(connection, SOURCES, 1)
    assert len(read_all(claimant, connection)) == 1
    assert cluster.outstanding("a") == 1


def test_what_a_broken_connection_was_to_settle_is_settled_on_the_next(
    cluster: Cluster, claimant: Claimant, connection: Any
) -> None:
    """A finished task would be released and run again after every lost connection."""
    settle_one(cluster, claimant, connection)
    claimant.start(connection, SOURCES, 1)
    connection.disconnect()
    claimant.forget_all_but(())
    assert cluster.shared() == []
    claimant.flush()
    assert cluster.outstanding("a") == 0


def test_what_is_held_on_a_server_that_was_left_goes_back_unless_it_runs_or_is_done(
    cluster: Cluster, claimant: Claimant, connection: Any
) -> None:
    """Broken if a failover runs a task twice whose acknowledgement waits for the event loop."""
    for i in range(3):
        cluster.place(f"m{i}", "a")
    claimant.start(connection, SOURCES, 3)
    idle, runs, done = read_all(claimant, connection)
    for tag in (idle, runs, done):
        claimant.hold(tag, None, "q")
    claimant.is_done(done)
    claimant.keep_only({runs})
    claimant.flush()
    assert cluster.shared() == ["m0"]
    assert cluster.outstanding("a") == 1


def test_an_answer_is_overdue_once_the_server_should_have_said_that_there_is_nothing(
    cluster: Cluster, claimant: Claimant, connection: Any, clock: Clock
) -> None:
    """Broken if a node waits for ever on a connection that fell silent, or gives up one that waits."""
    assert claimant.overdue == 0
    claimant.start(connection, SOURCES, 1)
    clock.now += LEASE
    assert claimant.overdue == LEASE - claimant.poll
    read_all(claimant, connection)
    assert claimant.overdue == 0
