"""``Cache.get_or_compute``: who computes, and what the others get."""

from __future__ import annotations

import multiprocessing
import threading
import time

import pytest

import switchyard
from tests.chaos.machines.servers import Server
from tests.integration.cache.conftest import DEADLINE, Open
from tests.support.waiting import wait_until


def test_one_of_many_callers_computes(open_cache: Open) -> None:
    """Broken if a cold key is a stampede."""
    caches = [open_cache() for _ in range(3)]
    calls: list[int] = []

    def compute() -> str:
        calls.append(1)
        time.sleep(0.3)
        return "value"

    got: list[str] = []
    threads = [
        threading.Thread(
            target=lambda cache: got.append(cache.get_or_compute("cold", compute)), args=(cache,)
        )
        for cache in caches * 5
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == ["value"] * 15
    assert len(calls) == 1


def test_who_computes_gets_what_the_others_get(open_cache: Open) -> None:
    """Broken if the first call of all returns another type than every later one."""
    cache = open_cache()
    first, later = (cache.get_or_compute("pair", lambda: ({1: 2}, (3,))) for _ in range(2))
    assert first == later == [{"1": 2}, [3]]


@pytest.mark.timing
def test_an_error_is_its_callers_own_and_the_next_one_computes(open_cache: Open) -> None:
    """Broken if a failed computation is cached, or holds the others."""
    cache = open_cache()
    with pytest.raises(ZeroDivisionError):
        cache.get_or_compute("key", lambda: 1 // 0)
    began = time.monotonic()
    assert cache.get_or_compute("key", lambda: 2, hold=30) == 2
    assert time.monotonic() - began < 10


@pytest.mark.timing
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_caller_that_dies_while_it_computes_holds_nobody_longer_than_its_hold(
    servers: list[Server], open_cache: Open
) -> None:
    """Broken if a crash leaves a key that nobody computes."""
    urls = [server.url for server in servers]
    context = multiprocessing.get_context("fork")
    started = context.Event()
    process = context.Process(target=_compute_for_ever, args=(urls, started))
    process.start()
    assert started.wait(30)
    process.kill()
    process.join()
    began = time.monotonic()
    assert open_cache().get_or_compute("key", lambda: "mine", hold=2.0) == "mine"
    assert time.monotonic() - began < 2.0 + 2 * DEADLINE


def _compute_for_ever(urls: list[str], started: threading.Event) -> None:
    def compute() -> None:
        started.set()
        time.sleep(3600)

    switchyard.Cache(urls, deadline=DEADLINE).get_or_compute("key", compute, hold=2.0)


def test_the_others_take_the_stale_value_while_one_computes(open_cache: Open) -> None:
    """Broken if callers wait although there is an old value, or if a plain get returns it."""
    cache, other = open_cache(), open_cache()
    cache.get_or_compute("key", lambda: "old", ttl=0.1, stale=60)
    wait_until(lambda: cache.get("key") is None, "the value is past its TTL")
    inside: list[str] = []

    def compute() -> str:
        inside.append(other.get_or_compute("key", lambda: "not called", ttl=60, stale=60))
        return "new"

    assert cache.get_or_compute("key", compute, ttl=60, stale=60) == "new"
    assert inside == ["old"]
    assert other.get("key") == "new"


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_process_uses_the_cache_of_its_parent(open_cache: Open) -> None:
    """Broken if prefork workers share a socket or have no healing."""
    cache = open_cache()
    cache.set("key", "parent's")
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    child = context.Process(target=lambda: answers.put((cache.get("key"), cache.set("key", "child's"))))
    child.start()
    assert answers.get() == ("parent's", True)
    child.join()
    assert cache.get("key") == "child's"
