"""The collector of a process that sends in time."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from switchyard.beat import garbage
from switchyard.beat.garbage import Garbage


class Loop:
    """Refers to itself."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    """What a test sets aside must not stay so."""
    yield
    gc.unfreeze()


def test_what_stays_is_set_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each full collection would stop the leader for as long as all its entries take."""
    monkeypatch.setattr(garbage, "_ASIDE_EVERY", 0.0)
    before = gc.get_freeze_count()
    Garbage().turn()
    assert gc.get_freeze_count() > before


def test_nothing_is_done_before_its_time() -> None:
    """Collecting at each turn would cost more than it saves."""
    before = gc.get_freeze_count()
    Garbage().turn()
    assert gc.get_freeze_count() == before


def test_what_was_set_aside_is_collected_at_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """A leader would grow for as long as it runs."""
    monkeypatch.setattr(garbage, "_ASIDE_EVERY", 0.0)
    monkeypatch.setattr(garbage, "_ALL_EVERY", 0.0)
    loop = weakref.ref(Loop())
    gc.freeze()
    Garbage().turn()
    assert loop() is None
