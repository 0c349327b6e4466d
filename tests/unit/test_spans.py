"""Spans of time, wherever users give one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

import switchyard
from switchyard.cache.store import Ttl
from switchyard.errors import ConfigurationError
from switchyard.spans import seconds


def _given(span: Any) -> Any:
    """Where None is allowed, some other thing that is no span."""
    return "None" if span is None else span


#: Everything that takes a span, by the name under which it does.
TAKERS: dict[str, Callable[[Any], Any]] = {
    "ttl": lambda span: switchyard.Cache(["redis://a"], ttl=span),
    "longest_ttl": lambda span: switchyard.Cache(["redis://a"], longest_ttl=span),
    "deadline": lambda span: switchyard.Cache(["redis://a"], deadline=span),
    "cache.set ttl": lambda span: Ttl(5, 60, 0).lifetime(_given(span)),
    "stale": lambda span: Ttl(5, 60, 0).lifetime(1, span),
    "hold": lambda span: switchyard.Cache(["redis://a"]).get_or_compute("k", lambda: 1, hold=span),
    "cached ttl": lambda span: switchyard.cached(key="{n}", ttl=span),
    "lock ttl": lambda span: switchyard.lock("x", ttl=span),
    "wait": lambda span: switchyard.lock("x", wait=_given(span)),
    "exclusive ttl": lambda span: switchyard.exclusive("x", ttl=span),
    "exclusive wait": lambda span: switchyard.exclusive("x", wait=span),
    "countdown": lambda span: switchyard.exclusive("x", countdown=span),
    "election ttl": lambda span: switchyard.Election("x", ttl=span),
}


@pytest.mark.parametrize("wrong", ["5", None, True, [5], Decimal(5), -1, float("nan"), timedelta(seconds=-1)])
@pytest.mark.parametrize("taker", TAKERS)
def test_what_is_no_span_is_refused_with_a_mend(taker: str, wrong: Any) -> None:
    """Broken if a typing error is a bare TypeError somewhere inside, or fails at the first use."""
    with pytest.raises(ConfigurationError, match=taker.rpartition(" ")[2]) as refusal:
        TAKERS[taker](wrong)
    assert "; " in str(refusal.value)


@pytest.mark.parametrize("taker", [taker for taker in TAKERS if taker != "hold"])
def test_a_timedelta_is_a_span(taker: str) -> None:
    """Broken if what Celery takes as a span is none here."""
    span = timedelta(minutes=10) if taker == "longest_ttl" else timedelta(seconds=2)
    assert TAKERS[taker](span) is not None


def test_spans_are_seconds() -> None:
    """Broken if two minutes are two seconds."""
    assert seconds(timedelta(minutes=2), "ttl") == seconds(120, "ttl") == 120.0
    assert switchyard.lock("x", ttl=timedelta(minutes=2)).ttl == 120.0


def test_a_life_of_nothing_has_a_mend_of_its_own() -> None:
    """Broken if who wants to forget a key is told to raise the longest ttl."""
    with pytest.raises(ConfigurationError, match="delete the key instead"):
        Ttl(5, 60, 0).lifetime(0)
    with pytest.raises(ConfigurationError, match="raise longest_ttl"):
        Ttl(5, 60, 0).lifetime(61)
