"""The near cache's memory: its bounds, and that it never keeps what was read before a change."""

from __future__ import annotations

import pytest

from switchyard.cache.near.memory import OVERHEAD, Near


class Clock:
    """A clock that stands still until it is told otherwise."""

    now = 0.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def near_of(clock: Clock, entries: int = 100, size: int = 100_000) -> Near:
    near = Near(entries, size, clock)
    near.trust(60.0)
    return near


def put(near: Near, key: str, value: bytes = b"v", ttl: float = 10.0) -> None:
    near.put(key, value, ttl, near.reserve(key))


def test_it_answers_until_the_value_runs_out(clock: Clock) -> None:
    """A value would be served for ever, or never."""
    near = near_of(clock)
    put(near, "a", b"1", ttl=10)
    assert near.get("a") == b"1"
    clock.now = 10.0
    assert near.get("a") is None


def test_the_least_recently_used_goes_first(clock: Clock) -> None:
    """Hot values would be thrown out for cold ones, or the bound on entries ignored."""
    near = near_of(clock, entries=2)
    put(near, "a")
    put(near, "b")
    near.get("a")
    put(near, "c")
    assert (near.get("a"), near.get("b"), near.get("c")) == (b"v", None, b"v")
    assert len(near) == 2


def test_bytes_are_bounded(clock: Clock) -> None:
    """A few large values would eat a node's memory."""
    near = near_of(clock, size=3 * (OVERHEAD + 101))
    for key in "abcd":
        put(near, key, bytes(100))
    assert [near.get(key) is not None for key in "abcd"] == [False, True, True, True]
    put(near, "huge", bytes(10_000))
    assert near.get("huge") is None
    assert len(near) == 3


def test_replacing_a_value_counts_its_bytes_once(clock: Clock) -> None:
    """The count of bytes would creep up until nothing is kept."""
    near = near_of(clock, size=2 * (OVERHEAD + 101))
    for _ in range(100):
        put(near, "a", bytes(100))
    put(near, "b", bytes(100))
    assert near.get("a") is not None
    assert near.get("b") is not None


@pytest.mark.parametrize("change", ["drop", "clear", "a later reader"])
def test_what_was_read_before_a_change_is_not_kept(clock: Clock, change: str) -> None:
    """The old value would come back after its invalidation and stay until its TTL."""
    near = near_of(clock)
    token = near.reserve("a")
    if change == "drop":
        near.drop(["a"])
    elif change == "clear":
        near.clear()
    else:
        near.reserve("a")
    near.put("a", b"old", 10, token)
    assert near.get("a") is None


def test_without_trust_it_is_silent(clock: Clock) -> None:
    """A node that is cut off from the servers would serve old values."""
    near = near_of(clock)
    put(near, "a")
    clock.now = 60.0
    assert near.get("a") is None
    put(near, "b")
    near.trust(100.0)
    assert near.get("b") is None
