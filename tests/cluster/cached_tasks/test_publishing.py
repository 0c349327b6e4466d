"""Cached tasks with real nodes: what is published all the same, and what becomes of it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from celery.result import AsyncResult

import switchyard
from tests.cluster.cached_tasks.conftest import POOLS, TIMEOUT, close, node_is_idle, runs
from tests.support import servers
from tests.support.app import make_app
from tests.support.nodes import node_of, worker
from tests.support.servers import Server, free_port
from tests.support.waiting import wait_until


@pytest.mark.parametrize(
    "option",
    [{"countdown": 0.1}, {"link": True}, {"task_id": "mine"}, {"expires": 60}, {"ignore_result": True}],
)
def test_a_call_with_more_to_say_is_published(
    shop: Celery, valkey: Server, published: list[str], option: dict[str, Any]
) -> None:
    """A link would never be called, a countdown ignored, a caller's own task id be unknown."""
    price = shop.tasks["price"]
    price.delay("more").get(timeout=TIMEOUT)
    published.clear()
    if "link" in option:
        option = {"link": shop.tasks["record"].si("linked", "yes")}
    result = price.apply_async(("more",), **option)
    assert isinstance(result, AsyncResult)
    assert published == [result.id]
    if "link" in option:
        wait_until(lambda: valkey.client(63).llen("linked") == 1, "the link is called")
    wait_until(lambda: node_is_idle(valkey), "it ran")
    assert len(runs(valkey, "more")) == 1, "the node knew the result"


def test_an_option_that_is_none_is_not_said(shop: Celery, published: list[str]) -> None:
    """Who passes options on, most of them None, would never get an answer from the cache."""
    price = shop.tasks["price"]
    said = dict.fromkeys(("countdown", "eta", "expires", "link", "task_id"))
    first = price.apply_async(("none",), **said)
    first.get(timeout=TIMEOUT)
    again = price.apply_async(("none",), **said)
    assert again.id == first.id
    assert published == [first.id]


def test_without_cache_servers_calls_are_tasks_as_ever(shop: Celery, valkey: Server) -> None:
    """An outage of the cache would be an outage of the application."""
    nowhere = f"redis://127.0.0.1:{free_port()}/0"
    app = make_app(valkey.url(), switchyard.Settings(cache_servers=(nowhere,)))
    try:
        results = [app.tasks["price"].delay("outage") for _ in range(2)]
        assert [result.get(timeout=TIMEOUT) for result in results] == ["outage EUR 1"] * 2
        assert app.tasks["price"].cached.invalidate(sku="outage", currency="EUR") is False
    finally:
        app.close()


def test_nodes_tell_how_warm_they_are(shop: Celery, valkey: Server) -> None:
    """Nobody could see whether a cache is worth its memory, least of all behind a prefork pool."""
    before = {name: figures(valkey, name) for name in POOLS}
    shop.tasks["price"].delay("warm").get(timeout=TIMEOUT)

    def grown(name: str) -> bool:
        return bool(figures(valkey, name).get("near_hits", 0) > before[name].get("near_hits", 0))

    def every_node_has() -> bool:
        for _ in range(5):
            shop.tasks["price"].apply_async(("warm",), countdown=0.01)
        return all(map(grown, POOLS))

    wait_until(every_node_has, "every node has answered from memory", TIMEOUT)
    assert figures(valkey, "b")["near_entries"] >= 1
    assert figures(valkey, "b")["near_bytes"] > 0


def figures(server: Server, name: str) -> Any:
    """What a node says of its cache in its heartbeat."""
    node = node_of(server, name)
    assert node is not None
    return node.load.cache


@pytest.mark.timing
def test_a_killed_node_holds_callers_no_longer_than_its_lease(tmp_path: Path) -> None:
    """Everybody who shares a task would wait for a process that is gone."""
    with servers.running("valkey") as own:  # the nodes of the other tests would take its tasks
        _kill_while_it_computes(own, tmp_path)


def _kill_while_it_computes(clean_valkey: Server, tmp_path: Path) -> None:
    app = make_app(clean_valkey.url())
    with (
        worker(clean_valkey, tmp_path, "dies", lease=2.0, slots=1) as dies,
        worker(clean_valkey, tmp_path, "lives", lease=2.0, slots=1, queues="other") as lives,
    ):
        first = app.tasks["price"].delay("crash", seconds=1.0)
        wait_until(lambda: runs(clean_valkey, "crash"), "it computes")
        dies.kill()
        app.control.add_consumer(
            "celery", destination=[f"lives@{lives.text().split('lives@')[1].split()[0]}"]
        )
        at = time.monotonic()
        second = app.tasks["price"].delay("crash")
        assert second.get(timeout=TIMEOUT) == first.get(timeout=TIMEOUT) == "crash EUR 2"
        # Its lease, at most another one until a node may reap, the run itself.
        assert time.monotonic() - at < 15
        assert runs(clean_valkey, "crash") == [first.id] * 2
    close(app)
