"""The cache on a real Redis Cluster of three nodes."""

from __future__ import annotations

import logging
import multiprocessing
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pytest
from redis.cluster import RedisCluster

import switchyard
from switchyard.cache.store import Standing
from tests.chaos.machines.servers import Server
from tests.support.cache import redis_cluster
from tests.support.servers import free_port
from tests.support.waiting import wait_until

KEYS = [f"key:{number}" for number in range(60)]


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    """A cluster for this module; the last test kills one of its nodes."""
    with redis_cluster.running(Path(tmp_path_factory.mktemp("cluster"))) as nodes:
        yield nodes


@pytest.fixture
def cache(nodes: list[Server]) -> Iterator[switchyard.Cache]:
    cache = switchyard.Cache([f"redis+cluster://127.0.0.1:{nodes[0].port}"], deadline=1.0)
    cache.clear()
    yield cache
    cache.close()


def test_values_are_kept_and_forgotten(cache: switchyard.Cache) -> None:
    """Broken if the interface does not do on a cluster what it does on a ring."""
    values = {key: {"n": number} for number, key in enumerate(KEYS)}
    assert cache.set_many(values)
    assert cache.get_many([*KEYS, "other"]) == values
    assert cache.delete(KEYS[0])
    assert cache.get(KEYS[0], "gone") == "gone"
    assert cache.clear()
    assert cache.get_many(KEYS) == {}


def test_keys_are_on_all_nodes(cache: switchyard.Cache) -> None:
    """Broken if sharding is not the cluster's."""
    assert cache.set_many(dict.fromkeys(KEYS, 1))
    assert {name for key in KEYS for name in cache.owners(key)} == {each.name for each in cache.servers()}
    assert [each.standing for each in cache.servers()] == [Standing.UP] * 3
    assert all(each.keys > 0 for each in cache.servers())


def test_one_computes_and_a_stale_value_is_kept_on(cache: switchyard.Cache) -> None:
    """Broken if an expired value is taken for a fresh one, or not kept for those who may take it."""
    assert cache.get_or_compute("sum", lambda: 1, ttl=0.2, stale=60) == 1
    assert cache.get_or_compute("sum", lambda: 2, ttl=0.2, stale=60) == 1
    wait_until(lambda: cache.get("sum") is None, "the value is past its TTL")
    assert cache.get_or_compute("sum", lambda: 3, ttl=60, stale=60) == 3


@pytest.mark.timing
def test_nobody_waits_past_the_deadline_for_nodes_that_hang(nodes: list[Server]) -> None:
    """Broken if callers queue for redis-py's look at the layout, or a silent node takes the others along."""
    deadline = 0.25
    url = f"redis+cluster://127.0.0.1:{nodes[0].port}"
    with closing(switchyard.Cache([url], deadline=deadline)) as cache:
        wait_until(lambda: cache.set_many(dict.fromkeys(KEYS, 1)), "all nodes take a write in time")
        nodes[0].pause()
        try:
            wait_until(lambda: len(cache.get_many(KEYS)) > len(KEYS) / 2, "the other nodes answer in time")
            for node in nodes[1:]:
                node.pause()
            with ThreadPoolExecutor(32) as callers:
                slowest = max(callers.map(lambda key: _seconds(lambda: cache.get(key)), KEYS * 4))
            # What a busy machine adds; without the bulkhead it was 6 s.
            assert slowest < deadline + 3.0
        finally:
            for node in nodes:
                node.resume()
        wait_until(lambda: len(cache.get_many(KEYS)) == len(KEYS), "all nodes are asked again")


def test_a_node_that_refuses_writes_is_logged_once(
    nodes: list[Server], cache: switchyard.Cache, caplog: pytest.LogCaptureFixture
) -> None:
    """Broken if nobody hears of a full node because it still answers whoever reads."""
    caplog.set_level(logging.INFO, "switchyard.cache.refusals")
    assert cache.set("a", 1)
    owner = next(node for node in nodes if cache.owners("a") == [f"127.0.0.1:{node.port}"])
    with closing(owner.client()) as client:
        client.config_set("maxmemory", 1)
        for _ in range(5):
            assert not cache.set("a", 2)
            assert cache.get("a") == 1
            assert cache.delete("b")
        client.config_set("maxmemory", 0)
    wait_until(lambda: cache.set("a", 3), "the node is tried again")
    refused, taken = (record.getMessage() for record in caplog.records)
    assert "refuses writes" in refused
    assert "takes writes again" in taken


def test_keys_that_moved_are_followed(nodes: list[Server], cache: switchyard.Cache) -> None:
    """Broken if a change of the cluster's layout turns its keys into misses, or its writes into failures."""
    key = KEYS[0]
    assert cache.set(key, 1)
    source = next(node for node in nodes if cache.owners(key) == [f"127.0.0.1:{node.port}"])
    target = nodes[1] if source is nodes[0] else nodes[0]
    slot = redis_cluster.slot(source, cache.keys.entry(key))
    assert cache.delete(key)
    redis_cluster.move(nodes, slot, target)
    assert cache.set(key, 2)
    assert cache.get_many(KEYS) == {key: 2}
    assert cache.owners(key) == [f"127.0.0.1:{target.port}"]


@contextmanager
def _process(module: str, *arguments: int) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", module, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _seconds(call: Callable[[], object]) -> float:
    began = time.monotonic()
    call()
    return time.monotonic() - began


def test_a_forked_process_uses_the_cache_of_its_parent(cache: switchyard.Cache) -> None:
    """Broken if prefork workers share a socket, or wait for threads and locks that only their parent has."""
    assert cache.set("key", "parent's")
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()

    def child() -> None:
        answers.put((cache.get("key"), cache.set("key", "child's")))

    process = context.Process(target=child, daemon=True)
    process.start()
    assert answers.get() == ("parent's", True)
    process.join()
    assert cache.get("key") == "child's"


def test_what_another_program_left_under_our_names_is_a_miss(
    nodes: list[Server], cache: switchyard.Cache, caplog: pytest.LogCaptureFixture
) -> None:
    """Broken if a foreign value is an error for whoever asks for the key, or for whoever reads the log."""
    with closing(RedisCluster(host="127.0.0.1", port=nodes[0].port)) as other:
        other.set(cache.keys.entry("foreign"), "text")
        other.rpush(cache.keys.entry("list"), 1)
    for _ in range(5):
        assert cache.get_many(["foreign", "list"]) == {}
        assert cache.set("other", 1)
    assert not caplog.records
    assert cache.get_or_compute("foreign", lambda: 7) == 7
    assert cache.set_many(dict.fromkeys(KEYS, 1))  # its node is not left out


def test_an_empty_cluster_is_neither_cleared_nor_kept(tmp_path: Path) -> None:
    """Broken if nodes that lost their slots count as cleared, or if the URL is not looked at again then."""
    port = free_port()
    with (
        redis_cluster.running(tmp_path / "old", 1) as (old,),
        redis_cluster.running(tmp_path / "new", 1) as (new,),
        closing(switchyard.Cache([f"redis+cluster://127.0.0.1:{port}"], deadline=1.0)) as cache,
    ):
        with _process("tests.chaos.machines.proxy", port, old.port):
            wait_until(partial(cache.set, "key", 1), "the old cluster is found", 30)
        with closing(old.client()) as client:
            client.flushall()
            client.execute_command("CLUSTER RESET")
        assert not cache.set("key", 1)
        assert not cache.clear()
        with _process("tests.chaos.machines.proxy", port, new.port):
            wait_until(partial(cache.set, "key", 2), "the new cluster is found", 30)


def test_what_the_url_says_of_timeouts_and_decoding_is_not_heard(nodes: list[Server]) -> None:
    """Broken if an option that suits the application's own client breaks the cache, or its deadline."""
    url = f"redis+cluster://127.0.0.1:{nodes[0].port}?decode_responses=true&socket_timeout=60"
    with closing(switchyard.Cache([url], deadline=1.0)) as cache:
        assert cache.set("key", "é")
        assert cache.get("key") == "é"


def test_nodes_with_new_addresses_are_found_by_the_url(tmp_path: Path) -> None:
    """Broken if a cluster that was replaced behind its name is lost until every client starts anew."""
    port = free_port()
    with closing(switchyard.Cache([f"redis+cluster://127.0.0.1:{port}"], deadline=1.0)) as cache:
        for name in ("old", "new"):
            with (
                redis_cluster.running(tmp_path / name, 1) as (node,),
                _process("tests.chaos.machines.proxy", port, node.port),
            ):
                wait_until(partial(cache.set, "key", name), f"the {name} cluster is found", 30)
                assert cache.get("key") == name


def test_a_cluster_that_takes_longer_than_one_call_to_meet_is_met(tmp_path: Path) -> None:
    """Broken if each call begins to connect anew, and none has the time to end it."""
    with (
        redis_cluster.running(tmp_path / "far", 1) as (node,),
        _process("benchmarks.machines.proxy", node.port, 60) as proxy,
    ):
        assert proxy.stdout
        far = int(proxy.stdout.readline())
        with closing(node.client()) as client:
            client.config_set("cluster-announce-port", far)
        with closing(switchyard.Cache([f"redis+cluster://127.0.0.1:{far}"], deadline=0.25)) as cache:
            assert not cache.set("key", 1)
            wait_until(partial(cache.set, "key", 1), "the cluster is met", 30)


@pytest.mark.timing
def test_a_dead_node_costs_misses_never_errors(cache: switchyard.Cache, nodes: list[Server]) -> None:
    """Broken if a caller sees a node die, or waits for it for longer than the deadline."""
    cache.set_many(dict.fromkeys(KEYS, 1))
    nodes[2].kill()
    slowest = 0.0
    for key in KEYS:
        slowest = max(slowest, _seconds(partial(cache.get, key)))
    assert cache.figures.errors > 0
    assert slowest < 2.0
    assert cache.get_many(KEYS) is not None
    assert not cache.clear()
    assert cache.get_many(KEYS) == {}  # those on living nodes are forgotten all the same
