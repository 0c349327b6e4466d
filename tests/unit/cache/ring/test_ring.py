"""The ring: balance, what a new server moves, weights."""

from __future__ import annotations

from collections import Counter

import pytest

from switchyard.cache.ring.ring import Ring

KEYS = [f"key:{number}" for number in range(100_000)]


def _names(count: int) -> dict[str, int]:
    return {f"10.0.0.{number}:6379/0": 1 for number in range(count)}


@pytest.fixture(scope="module")
def ten() -> list[tuple[str, ...]]:
    """The owners of all keys on ten servers."""
    ring = Ring(_names(10), replicas=2)
    return [ring.owners(key) for key in KEYS]


def test_no_server_of_ten_has_more_than_1_15_of_the_mean(ten: list[tuple[str, ...]]) -> None:
    """Broken if one server gets so much more that it is full first."""
    first = Counter(owners[0] for owners in ten)
    held = Counter(owner for owners in ten for owner in owners)
    assert len(first) == 10
    assert max(first.values()) <= 1.15 * len(KEYS) / 10
    assert max(held.values()) <= 1.15 * 2 * len(KEYS) / 10


def test_an_eleventh_server_moves_at_most_12_percent_and_no_key_loses_both_owners(
    ten: list[tuple[str, ...]],
) -> None:
    """Broken if a new server empties the cache: each key must be found where it was."""
    ring = Ring(_names(11), replicas=2)
    eleven = [ring.owners(key) for key in KEYS]
    pairs = list(zip(ten, eleven, strict=True))
    assert sum(before[0] != after[0] for before, after in pairs) <= 0.12 * len(KEYS)
    assert all(set(before) & set(after) for before, after in pairs)


def test_owners_are_distinct_and_no_more_than_there_are_servers() -> None:
    """Broken if both copies of a key are on one server."""
    assert all(len(set(owners)) == 2 for owners in map(Ring(_names(2), replicas=2).owners, KEYS[:100]))
    assert all(len(owners) == 1 for owners in map(Ring(_names(1), replicas=2).owners, KEYS[:100]))


def test_a_server_of_weight_three_has_three_times_the_keys() -> None:
    """Broken if a large server is used like a small one."""
    ring = Ring({"large": 3, "small": 1}, replicas=1)
    first = Counter(ring.owners(key)[0] for key in KEYS)
    assert first["large"] / first["small"] == pytest.approx(3, rel=0.15)


def test_clients_agree_in_whatever_order_they_name_the_servers() -> None:
    """Broken if two clients look for a key on different servers."""
    one, other = Ring(_names(5), 2), Ring(dict(reversed(_names(5).items())), 2)
    assert all(one.owners(key) == other.owners(key) for key in KEYS[:1000])
