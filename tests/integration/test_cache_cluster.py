"""The cache on a real Redis Cluster of three nodes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import scheduler
from scheduler.caching.store import Standing
from tests.chaos.servers import Server
from tests.support import redis_cluster
from tests.support.waiting import wait_until

KEYS = [f"key:{number}" for number in range(60)]


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    """A cluster for this module; the last test kills one of its nodes."""
    with redis_cluster.running(Path(tmp_path_factory.mktemp("cluster"))) as nodes:
        yield nodes


@pytest.fixture
def cache(nodes: list[Server]) -> Iterator[scheduler.Cache]:
    cache = scheduler.Cache([f"redis+cluster://127.0.0.1:{nodes[0].port}"], deadline=1.0)
    cache.clear()
    yield cache
    cache.close()


def test_values_are_kept_and_forgotten(cache: scheduler.Cache) -> None:
    """Broken if the interface does not do on a cluster what it does on a ring."""
    values = {key: {"n": number} for number, key in enumerate(KEYS)}
    assert cache.set_many(values)
    assert cache.get_many([*KEYS, "other"]) == values
    assert cache.delete(KEYS[0])
    assert cache.get(KEYS[0], "gone") == "gone"
    assert cache.clear()
    assert cache.get_many(KEYS) == {}


def test_keys_are_on_all_nodes(cache: scheduler.Cache) -> None:
    """Broken if sharding is not the cluster's."""
    assert cache.set_many(dict.fromkeys(KEYS, 1))
    assert {name for key in KEYS for name in cache.owners(key)} == {each.name for each in cache.servers()}
    assert all(each.entries > 0 and each.standing is Standing.UP for each in cache.servers())


def test_one_computes_and_a_stale_value_is_kept_on(cache: scheduler.Cache) -> None:
    """Broken if an expired value is taken for a fresh one, or not kept for those who may take it."""
    assert cache.get_or_compute("sum", lambda: 1, ttl=0.2, stale=60) == 1
    assert cache.get_or_compute("sum", lambda: 2, ttl=0.2, stale=60) == 1
    wait_until(lambda: cache.get("sum") is None, "the value is past its TTL")
    assert cache.get_or_compute("sum", lambda: 3, ttl=60, stale=60) == 3


def test_a_dead_node_costs_misses_never_errors(cache: scheduler.Cache, nodes: list[Server]) -> None:
    """Broken if a caller sees a node die, or waits for it for longer than the deadline."""
    cache.set_many(dict.fromkeys(KEYS, 1))
    nodes[2].kill()
    slowest = 0.0
    for key in KEYS:
        began = time.monotonic()
        cache.get(key)
        slowest = max(slowest, time.monotonic() - began)
    assert cache.figures.errors > 0
    assert slowest < 2.0
    assert cache.get_many(KEYS) is not None
