"""``switchyard.exclusive`` on running nodes: what overlaps, what callers see, what a killed worker leaves."""

from __future__ import annotations

import functools
import time
from pathlib import Path

import pytest
from celery import Celery, chain, states
from kombu.exceptions import OperationalError

import switchyard
from switchyard.errors import ConfigurationError, LockNotAcquired, TaskSkipped
from tests.support.nodes import state_of, worker
from tests.support.servers import Server
from tests.support.waiting import wait_until

TIMEOUT = 40
GRANT = "{switchyard}:grant:lock:k"


def held(server: Server) -> bool:
    """Whether a task holds the lock."""
    return bool(server.client().exists(GRANT))


def test_retried_skipped_and_waiting_tasks(app: Celery, clean_valkey: Server, tmp_path: Path) -> None:
    """Tasks that must not overlap would, or their callers would wait for ever for one that did not run."""
    with worker(clean_valkey, tmp_path, slots=3):
        with switchyard.lock("k", servers=[clean_valkey.url()]) as mine:
            skipped = app.tasks["alone.skip"].delay(key="k")
            in_chain = chain(app.tasks["alone.skip"].si("k"), app.tasks["add"].si(1, 1)).delay()
            retried = app.tasks["alone.retry"].delay("k")
            other_key = app.tasks["alone.retry"].delay("another")
            for result in (skipped, in_chain):
                with pytest.raises(TaskSkipped, match="'k' is held"):
                    result.get(timeout=TIMEOUT)
            # Celery marks the rest of a chain after the task that was not run, whose callers know first.
            wait_until(lambda: skipped.state == in_chain.state == states.REVOKED, "both say so")
            assert other_key.get(timeout=TIMEOUT)[0] == 1
            wait_until(lambda: retried.state == states.RETRY, "the other one says that it is retried")
            assert isinstance(retried.info, LockNotAcquired)
            waits = app.tasks["alone.wait"].delay("k")
        results = [retried, waits, *(app.tasks["alone.retry"].delay("k", 0.3) for _ in range(3))]
        outcomes = [result.get(timeout=TIMEOUT) for result in results]
        assert [inside for inside, _, _ in outcomes] == [1] * 5
        assert len({mine.token, *(token for _, token, _ in outcomes)}) == 6
        assert mine.token < min(token for _, token, _ in outcomes)
        # max_retries is 0: had waiting for the lock counted, the task would have failed.
        assert [retries for _, _, retries in outcomes] == [0] * 5
        kinds = {event.kind for event in state_of(clean_valkey).events() if event.node == "n1"}
        assert {"locked", "skipped"} <= kinds
    assert not held(clean_valkey)


@pytest.mark.parametrize("pool", ["gevent", "solo", "threads"])
def test_every_pool_keeps_tasks_apart(app: Celery, clean_valkey: Server, tmp_path: Path, pool: str) -> None:
    """Greenlets would share one lock and overlap, or one that waits would stop all others of its process."""
    slots = 1 if pool == "solo" else 3
    with worker(clean_valkey, tmp_path, slots=slots, pool=pool):
        with switchyard.lock("k", servers=[clean_valkey.url()]):
            retried = app.tasks["alone.retry"].delay("k", 0.3)
            wait_until(lambda: retried.state == states.RETRY, "it gives way")
        waiting = [app.tasks["alone.wait"].delay("k", 0.3) for _ in range(3)]
        outcomes = [result.get(timeout=TIMEOUT) for result in (retried, *waiting)]
    assert [inside for inside, _, _ in outcomes] == [1] * 4
    assert len({token for _, token, _ in outcomes}) == 4


@pytest.mark.timing
def test_a_killed_worker_blocks_nobody_for_longer_than_the_ttl(
    app: Celery, clean_valkey: Server, tmp_path: Path
) -> None:
    """One kill would stop all tasks of a customer for good."""
    with worker(clean_valkey, tmp_path, "a", queues="a", slots=1, pool="prefork") as a:
        app.tasks["alone.retry"].apply_async(("k", 60.0), queue="a")
        wait_until(lambda: held(clean_valkey), "the first task has the lock")
        with worker(clean_valkey, tmp_path, "b"):
            assert held(clean_valkey)
            a.kill()
            killed_at = time.monotonic()
            clean_valkey.client(63).delete("inside:k")
            assert app.tasks["alone.wait"].delay("k").get(timeout=TIMEOUT)[0] == 1
            assert time.monotonic() - killed_at < 10  # the ttl is 2 s, and the machine may be slow


def test_outside_a_worker_it_locks_all_the_same(app: Celery, clean_valkey: Server) -> None:
    """A call in a shell or an eager test would overlap with the tasks, or retry for ever."""
    alone = app.tasks["alone.retry"]
    url = [clean_valkey.url()]

    @switchyard.exclusive("k", servers=url)
    def plain() -> bool:
        return held(clean_valkey)

    assert plain()
    with switchyard.lock("k", servers=url):
        with pytest.raises(LockNotAcquired):
            plain()
        with pytest.raises((LockNotAcquired, ConfigurationError)):
            alone("k")
        assert isinstance(alone.apply(("k",)).result, LockNotAcquired)


def test_wrong_use_is_found_where_the_task_is_defined(app: Celery) -> None:
    """A key that names no argument would fail at every run, or a call with wrong arguments at none."""
    with pytest.raises(ConfigurationError, match="takes customer"):
        switchyard.exclusive("customer:{customer_id}")(lambda customer: None)
    with pytest.raises(ConfigurationError, match="mend its braces"):
        switchyard.exclusive("{customer")(lambda customer: None)
    with pytest.raises(ConfigurationError, match=r"put it under @app\.task"):
        switchyard.exclusive("x")(app.tasks["alone.retry"])
    switchyard.exclusive("x")(functools.partial(print, "a callable will do"))
    with pytest.raises(ConfigurationError, match="is no text; write"):
        switchyard.exclusive(lambda customer: None)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="retry, skip, wait"):
        switchyard.exclusive("x", on_locked="ignore")  # type: ignore[arg-type]
    with pytest.raises((TypeError, OperationalError), match="key"):
        app.tasks["alone.retry"].delay()
