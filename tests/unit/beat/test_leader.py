"""How early a leader drafts."""

from __future__ import annotations

import pytest

from switchyard.beat.leader import WINDOWS, head_start

#: Seconds that drafting an entry costs.
COST = 0.001


def counts(*, at: float = 0.0, burst: int = 0, rate: float = 0.0) -> list[int]:
    """Entries due within each window: so many at one instant, and so many in each second."""
    return [round(rate * window) + burst * (window >= at) for window in WINDOWS]


@pytest.mark.parametrize(
    ("due", "least", "most"),
    [
        (counts(), 1, 1),
        (counts(rate=600), 1, 1),
        (counts(rate=2000), WINDOWS[-1], WINDOWS[-1]),
        (counts(burst=10_000, at=15), 1, 1),
        (counts(burst=10_000, at=11), 11, 14),
        (counts(burst=10_000, at=1), 10, 13),
        (counts(burst=5_000, at=3, rate=300), 5, 10),
    ],
)
def test_drafting_starts_when_it_must(due: list[int], least: float, most: float) -> None:
    """Thousands of ticks of one instant would be late, or each sweep would read all entries."""
    assert least <= head_start(due, COST) <= most
