"""The server's clock steps back by an hour: locks, lines and memories."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from switchyard.cluster.keys import Keys
from switchyard.coordination.voter import Voter
from tests.integration.clocks import SteppedServer, stepped_server
from tests.support.waiting import wait_until

HOUR = 3600.0
TTL_MS = 500


@pytest.fixture
def server() -> Iterator[SteppedServer]:
    with stepped_server() as server:
        yield server


@pytest.fixture
def voter(server: SteppedServer) -> Voter:
    return Voter(server.client(), Keys(), alone=True)


def granted(voter: Voter, owner: str, place: int = 0) -> bool:
    return voter.grant("s", owner, TTL_MS, place, in_line=True).granted


def test_a_dead_holders_lock_is_free_a_ttl_after_a_step(voter: Voter, server: SteppedServer) -> None:
    """Broken if what a dead process held stays locked until the clock has caught up."""
    assert granted(voter, "dead")
    server.step(-HOUR)
    assert not granted(voter, "next")
    wait_until(lambda: granted(voter, "next"), "the lock is free", 4 * TTL_MS / 1000)


def test_a_live_holder_keeps_its_lock_through_a_step(voter: Voter, server: SteppedServer) -> None:
    """Broken if a step lets a second one in beside a holder that renews."""
    first = voter.grant("s", "holder", TTL_MS, 0, in_line=False)
    server.step(-HOUR)
    for _ in range(20):
        assert voter.renew("s", "holder", TTL_MS, first.number)
        assert not granted(voter, "next")


def test_a_waiter_that_died_before_a_step_is_passed_over(voter: Voter, server: SteppedServer) -> None:
    """Broken if a dead waiter stands first in the line until the clock has caught up."""
    first = voter.grant("s", "holder", TTL_MS, 0, in_line=False)
    assert not granted(voter, "dead")
    server.step(-HOUR)
    assert not granted(voter, "next")
    assert voter.renew("s", "holder", TTL_MS, first.number)
    voter.release("s", "holder")
    wait_until(lambda: granted(voter, "next"), "the next in the line gets it", 4)


def test_a_server_that_votes_remembers_again_a_ttl_after_a_step(server: SteppedServer) -> None:
    """Broken if a server has no vote until its clock has caught up: with two of them nothing is locked."""
    voter = Voter(server.client(), Keys(), alone=False)
    wait_until(lambda: voter.grant("a", "o", TTL_MS, 0, False).remembers, "it remembers", 4)
    server.step(-HOUR)
    wait_until(lambda: voter.grant("b", "o", TTL_MS, 0, False).remembers, "it remembers again", 4)
