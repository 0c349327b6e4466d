"""The decision of a vote from the ballots that are in."""

from __future__ import annotations

import pytest

from switchyard.coordination.vote import ALLOWANCE, Ballot, Outcome, close, count, lasts_until

YES = Ballot(True, 7)
FRESH = Ballot(True, 7, remembers=False)
NO = Ballot(False, 0)


@pytest.mark.parametrize(
    ("ballots", "voters", "outcome"),
    [
        ([YES], 1, Outcome.WON),
        ([FRESH], 1, Outcome.WON),
        ([NO], 1, Outcome.HELD),
        ([], 1, Outcome.OPEN),
        ([YES, YES], 3, Outcome.WON),
        ([YES, NO], 3, Outcome.OPEN),
        ([YES, NO, NO], 3, Outcome.HELD),
        ([NO, NO], 3, Outcome.HELD),
        ([YES, FRESH], 3, Outcome.OPEN),
        ([YES, FRESH, YES], 3, Outcome.WON),
        ([YES, YES, NO], 3, Outcome.WON),
        ([FRESH, FRESH, FRESH], 3, Outcome.WON),
        ([YES, YES], 4, Outcome.OPEN),
        ([YES, YES, NO, NO], 4, Outcome.HELD),
    ],
)
def test_a_majority_of_servers_decides(ballots: list[Ballot], voters: int, outcome: Outcome) -> None:
    """Two could hold one lock, or nobody could, or a caller would wait for answers that change nothing."""
    assert count(ballots, voters) is outcome


@pytest.mark.parametrize("forgetful", [[FRESH, FRESH, NO], [YES, FRESH, NO], [FRESH, YES, NO]])
def test_a_server_that_forgot_does_not_outvote_one_that_remembers(forgetful: list[Ballot]) -> None:
    """A server that came back empty would let a second holder in beside the first."""
    assert count(forgetful, 3) is Outcome.HELD


def test_silence_is_no_refusal() -> None:
    """With two of three servers down, callers would be told that somebody holds the lock."""
    assert close([YES], 3) is Outcome.NO_QUORUM
    assert close([NO], 3) is Outcome.NO_QUORUM
    assert close([YES, FRESH], 3) is Outcome.NO_QUORUM


def test_a_holder_stops_before_the_servers_let_the_next_one_in() -> None:
    """Time that the vote took, or a clock that runs fast, would let two hold it."""
    assert lasts_until(asked_at=100.0, ttl=10.0) == pytest.approx(110.0 - 10.0 * ALLOWANCE)
