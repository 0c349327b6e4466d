"""A short chaos with a seed for the leader of periodic tasks, on every change."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.beat.candidates import Wishes
from tests.chaos.beat.run import run

SEED = 5


@pytest.mark.timeout(200)
def test_no_tick_is_missing_and_none_sent_twice(tmp_path: Path) -> None:
    """A leader that dies between sending and recording, or sleeps, would lose or double ticks."""
    wishes = Wishes(rate=100, kills=3, pauses=1, every=3.0, ttl=2.0, processes=2, seed=SEED, head_start=0.0)
    verdict = run(wishes, tmp_path / "run")
    assert verdict.failures() == [], verdict
    assert verdict.expected > 500
