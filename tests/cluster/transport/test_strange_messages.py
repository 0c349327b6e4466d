"""No message ends a node, whatever is in it: it runs, fails, or is set aside."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import switchyard
from tests.support.app import make_app
from tests.support.messages import STRANGE, message
from tests.support.nodes import WorkerProcess, known, state_of, worker
from tests.support.servers import Server
from tests.support.waiting import wait_until

TIMEOUT = 20


def goes_on(app: Celery, server: Server, node: WorkerProcess) -> None:
    """Fails unless the node still runs tasks in all its slots and holds no claim that nobody will settle."""
    results = [app.tasks["add"].delay(i, 1) for i in range(4)]
    assert [result.get(timeout=TIMEOUT) for result in results] == [1, 2, 3, 4]
    assert node.process.poll() is None, node.text()
    wait_until(lambda: known(server, node.name).outstanding == 0, f"no claim is left: {node.text()[-3000:]}")


@pytest.mark.parametrize("pool", ["threads", "prefork", "solo", "gevent"])
def test_no_strange_message_ends_a_node(app: Celery, clean_valkey: Server, tmp_path: Path, pool: str) -> None:
    """Broken if one of these messages ends node after node, takes a slot for good, or is lost."""
    with worker(clean_valkey, tmp_path, pool=pool, slots=1 if pool == "solo" else 2) as node:
        clean_valkey.client().lpush("celery", *STRANGE)
        goes_on(app, clean_valkey, node)
        assert state_of(clean_valkey).dead_count() >= 30


def test_a_task_that_exits_on_solo_is_given_up(app: Celery, clean_valkey: Server, tmp_path: Path) -> None:
    """Broken if SystemExit in a task ends one solo node after the other, and nobody is told."""
    env = {"SWITCHYARD_MAX_DELIVERIES": "2"}
    with worker(clean_valkey, tmp_path, pool="solo", slots=1, env=env) as node:
        with pytest.raises(switchyard.TaskGivenUp, match="2 nodes or pool processes died"):
            app.tasks["leave"].delay().get(timeout=TIMEOUT)
        goes_on(app, clean_valkey, node)


def test_a_task_that_exits_on_threads_is_given_up(app: Celery, clean_valkey: Server, tmp_path: Path) -> None:
    """Broken if SystemExit in a thread leaves its claim, and its slot, taken for ever."""
    env = {"SWITCHYARD_MAX_DELIVERIES": "2"}
    with worker(clean_valkey, tmp_path, pool="threads", env=env) as node:
        with pytest.raises(switchyard.TaskGivenUp, match="2 nodes or pool processes died"):
            app.tasks["leave"].delay().get(timeout=TIMEOUT)
        goes_on(app, clean_valkey, node)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
HEADERS = st.sampled_from(
    ["task", "id", "root_id", "parent_id", "group", "retries", "timelimit", "shadow", "expires", "stamps"]
)
PROPERTIES = st.sampled_from(
    ["delivery_info", "priority", "body_encoding", "reply_to", "correlation_id", "delivery_mode", "timestamp"]
)
MESSAGES = st.one_of(
    st.builds(message, headers=st.dictionaries(HEADERS, VALUES, min_size=1, max_size=3)),
    st.builds(message, properties=st.dictionaries(PROPERTIES, VALUES, min_size=1, max_size=3)),
    st.builds(message, body=VALUES),
    st.builds(message, raw_body=st.binary(max_size=40)),
    st.builds(message, headers=VALUES),
    st.builds(message, properties=VALUES),
    st.builds(message, task=VALUES, content_type=VALUES),
    st.text(max_size=20),
)


@pytest.fixture(scope="module")
def fuzzed(
    valkey: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Celery, WorkerProcess]]:
    """A node for all of the messages of a run."""
    valkey.client().flushall()
    app = make_app(valkey.url())
    with worker(valkey, tmp_path_factory.mktemp("fuzz")) as node:
        yield app, node
    app.close()


@settings(
    max_examples=settings().max_examples // 4,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(several=st.lists(MESSAGES, min_size=1, max_size=10))
def test_no_message_ends_a_node(
    valkey: Server, fuzzed: tuple[Celery, WorkerProcess], several: list[Any]
) -> None:
    """Broken if there is a message that ends a node, keeps a slot, or is neither run nor set aside."""
    app, node = fuzzed
    valkey.client().lpush("celery", *several)
    goes_on(app, valkey, node)
