"""Cached tasks with real nodes: who is answered without a task, who shares one, what is not kept."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from celery import Celery, chain, chord, group
from celery.exceptions import TaskRevokedError, TimeLimitExceeded

from switchyard.cached_tasks.flights import Flight, Stage
from tests.cluster.cached_tasks.conftest import TIMEOUT, node_is_idle, runs
from tests.support.nodes import environment, state_of
from tests.support.servers import Server
from tests.support.waiting import wait_until


def test_a_kept_result_is_an_answer_without_a_task(
    shop: Celery, valkey: Server, published: list[str]
) -> None:
    """Every call would cost a task, whatever is known already; or a poller by id would wait for ever."""
    price = shop.tasks["price"]
    first = price.delay("kept")
    assert first.get(timeout=TIMEOUT) == "kept EUR 1"
    again = price.apply_async(("kept",), {"currency": "EUR"}, queue="celery")
    assert again.ready()
    assert (again.ready(), again.state, again.get(), again.id) == (True, "SUCCESS", "kept EUR 1", first.id)
    assert shop.AsyncResult(again.id).get(timeout=TIMEOUT) == "kept EUR 1"
    assert published == [first.id]
    assert price.delay("kept", "USD").get(timeout=TIMEOUT) == "kept USD 2"


def test_a_kept_result_can_be_gathered_with_others(shop: Celery) -> None:
    """``ResultSet.get`` asks the first result how; it would fail once that one is known already."""
    price = shop.tasks["price"]
    price.delay("set").get(timeout=TIMEOUT)
    known = price.delay("set")
    assert (known.app, known.backend, known.supports_native_join) == (shop, shop.backend, True)
    assert known.get(callback=lambda task, value: None) == "set EUR 1"


def test_a_caller_that_died_while_it_published_holds_others_for_a_lease_at_most(shop: Celery) -> None:
    """They would wait for ever for a task that does not exist."""
    price = shop.tasks["price"]
    key = price.cached.key(("ghost",), {})
    ghost = Flight("ghost", Stage.PUBLISHING)
    assert price.cached._results.flights.join(key, ghost, 1.5) == ghost
    result = price.delay("ghost")
    assert result.id != "ghost"
    assert result.get(timeout=TIMEOUT) == "ghost EUR 1"


def test_a_field_with_a_default_need_not_be_named_to_invalidate(shop: Celery) -> None:
    """What ``delay`` may leave out, whoever forgets the result would have to know."""
    price = shop.tasks["price"]
    assert price.delay("stock").get(timeout=TIMEOUT) == "stock EUR 1"
    assert price.cached.invalidate(sku="stock")
    assert price.delay("stock").get(timeout=TIMEOUT) == "stock EUR 2"


def test_a_hundred_simultaneous_callers_run_the_body_once(shop: Celery, valkey: Server) -> None:
    """A stampede: the moment a popular result runs out, everybody computes it."""
    ledger = valkey.client(63)
    command = [sys.executable, "-m", "tests.support.callers", "rush", "50", "0.5"]
    callers = [subprocess.Popen(command, env=environment(valkey)) for _ in range(2)]
    try:
        wait_until(lambda: int(ledger.get("callers ready") or 0) == 2, "all are ready", timeout=60)
        ledger.set("go", 1)
        wait_until(lambda: ledger.llen("got rush") == 100, "all got an answer", timeout=60)
        assert [caller.wait(60) for caller in callers] == [0] * 2
    finally:
        for caller in callers:
            caller.kill()
            caller.wait(10)
    (task_id,) = runs(valkey, "rush")
    assert set(ledger.lrange("got rush", 0, -1)) == {f"{task_id} rush EUR 1".encode()}


def test_invalidating_forgets(shop: Celery, valkey: Server) -> None:
    """An old price would be sold until its TTL."""
    price = shop.tasks["price"]
    price.delay("stale").get(timeout=TIMEOUT)
    assert price.cached.invalidate(sku="stale", currency="EUR") is True
    assert price.delay("stale").get(timeout=TIMEOUT) == "stale EUR 2"


def test_what_is_computed_during_an_invalidation_is_not_kept(shop: Celery, valkey: Server) -> None:
    """The old price would come back: read before the change, kept after it."""
    price = shop.tasks["price"]
    slow = price.delay("race", seconds=1.0)
    wait_until(lambda: runs(valkey, "race"), "it computes")
    price.cached.invalidate(sku="race", currency="EUR")
    after = price.delay("race")
    assert after.id != slow.id
    assert (slow.get(timeout=TIMEOUT), after.get(timeout=TIMEOUT)) == ("race EUR 1", "race EUR 2")
    wait_until(lambda: node_is_idle(valkey), "both are done")
    assert price.delay("race").get(timeout=TIMEOUT) != "race EUR 1"


def test_a_failure_is_not_kept(shop: Celery, valkey: Server) -> None:
    """One failure would be the answer until the TTL, or later callers wait for a task that is over."""
    price = shop.tasks["price"]
    with pytest.raises(ValueError, match="as asked"):
        price.delay("sour", fail=-1).get(timeout=TIMEOUT)
    assert price.delay("sour").get(timeout=TIMEOUT) == "sour EUR 2"


def test_callers_share_a_task_through_its_retries(shop: Celery, valkey: Server) -> None:
    """A retry would change its id or lose its claim, so that others compute beside it."""
    price = shop.tasks["price"]
    first = price.delay("again", fail=1)
    wait_until(lambda: first.state == "RETRY", "it waits for its retry")
    second = price.delay("again")
    assert second.id == first.id
    assert second.get(timeout=TIMEOUT) == "again EUR 2"
    assert runs(valkey, "again") == [first.id] * 2


def test_a_revoked_task_is_nobodys_answer(shop: Celery, valkey: Server, published: list[str]) -> None:
    """Callers would be handed a task that never runs, until its claim runs out."""
    price, nap = shop.tasks["price"], shop.tasks["nap"]
    blockers = [nap.delay(1.5) for _ in range(6)]
    wait_until(lambda: sum(n.claims for n in state_of(valkey).snapshot()) == 6, "all slots are taken")
    first = price.delay("gone")
    assert price.delay("gone").id == first.id
    shop.control.revoke(first.id)
    with pytest.raises(TaskRevokedError):
        first.get(timeout=TIMEOUT)
    assert price.delay("gone").get(timeout=TIMEOUT) == "gone EUR 1"
    assert [blocker.get(timeout=TIMEOUT) for blocker in blockers] == [1.5] * 6


def test_a_task_that_is_terminated_while_it_runs_holds_nobody(shop: Celery, valkey: Server) -> None:
    """Who ends a task that hangs would see its callers hang on it until its lease is over."""
    price = shop.tasks["price"]
    first = price.apply_async(("hangs",), {"seconds": 600}, placement={"node": "b"})
    wait_until(lambda: runs(valkey, "hangs") == [first.id], "it runs")
    assert price.delay("hangs").id == first.id
    first.revoke(terminate=True, signal="SIGKILL")
    with pytest.raises(TaskRevokedError):
        first.get(timeout=TIMEOUT)
    second = price.delay("hangs")
    assert second.id != first.id
    assert second.get(timeout=TIMEOUT) == "hangs EUR 2"


def killed_by_a_limit(price: Any, sku: str) -> Flight:
    """A task that ran, and whose process was killed before it could say anything; its node said it for it."""
    flight = Flight(f"killed {sku}", Stage.RUNNING)
    results, key = price.cached._results, price.cached.key((sku,), {})
    assert results.flights.board(key, flight, results.lease) == flight
    # The server counts in ms: a task that is killed within the first is not told from one that goes on.
    wait_until(lambda: (results.flights.silence(key, results.lease) or 0.0) > 0.01, "it ran for a while")
    price.backend.store_result(flight.task_id, TimeLimitExceeded(1.0), "FAILURE")
    return flight


@pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")
def test_a_task_that_a_time_limit_killed_holds_no_new_call(shop: Celery) -> None:
    """Each call of a whole lease would get that failure instead of a value."""
    price = shop.tasks["price"]
    killed = killed_by_a_limit(price, "limit")
    second = price.delay("limit")
    assert second.id != killed.task_id
    assert second.get(timeout=TIMEOUT) == "limit EUR 1"


@pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")
@pytest.mark.timing
def test_a_task_that_a_time_limit_killed_holds_no_slot(shop: Celery, valkey: Server) -> None:
    """A task that computes the same would wait on its slot until the lease is over."""
    price = shop.tasks["price"]
    killed = killed_by_a_limit(price, "slot")
    valkey.client(63).set("a lease", 1, px=round(price.cached._results.lease * 800))
    waits = price.apply_async(("slot",), countdown=0)
    assert waits.id != killed.task_id
    assert waits.get(timeout=TIMEOUT) == "slot EUR 1"
    assert valkey.client(63).exists("a lease")


def test_a_task_that_failed_before_and_runs_again_is_shared(shop: Celery, valkey: Server) -> None:
    """A task that was requeued by hand would be computed beside it, by each caller."""
    price = shop.tasks["price"]
    key = price.cached.key(("anew",), {})
    with pytest.raises(ValueError, match="as asked"):
        price.apply_async(("anew",), {"fail": -1}, task_id="failed-before").get(timeout=TIMEOUT)
    again = Flight("failed-before", Stage.RUNNING)
    assert price.cached._results.flights.board(key, again, price.cached._results.lease) == again
    assert price.delay("anew").id == "failed-before"
    price.cached._results.flights.end(key, again)


def test_canvas_works_and_computes_once(shop: Celery, valkey: Server, published: list[str]) -> None:
    """A chord would never end: its members must be tasks of their own, whatever is known already."""
    price, total, add = shop.tasks["price"], shop.tasks["total"], shop.tasks["add"]
    join = shop.tasks["price"]
    assert (
        group(price.s("team", seconds=0.5) for _ in range(4)).delay().get(timeout=TIMEOUT)
        == ["team EUR 1"] * 4
    )
    assert len(runs(valkey, "team")) == 1
    assert chain(price.si("team"), join.s("GBP")).delay().get(timeout=TIMEOUT) == "team EUR 1 GBP 1"
    both = chord([price.si("team"), price.si("team")], shop.tasks["celery.accumulate"].s())
    assert both.delay().get(timeout=TIMEOUT) == [["team EUR 1"] * 2]
    assert price.s("team").delay().get() == "team EUR 1"
    assert add.delay(1, 1).get(timeout=TIMEOUT) + total.delay([1]).get(timeout=TIMEOUT) == 3
