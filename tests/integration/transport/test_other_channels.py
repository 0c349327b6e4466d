"""Messages over a connection that the caller brought along, and applications that went to another process."""

from __future__ import annotations

import json
import multiprocessing
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import kombu
import pytest
from celery import Celery

import switchyard
from switchyard.install import installation
from tests.support.app import make_app
from tests.support.cluster import Cluster
from tests.support.replies import text
from tests.support.servers import Server

#: A way to send a task: with this task, over this connection.
Send = Callable[[Any, Any], None]

WAYS: dict[str, Send] = {
    "connection": lambda task, own: task.apply_async(connection=own),
    "producer": lambda task, own: task.apply_async(producer=own.Producer()),
    "producer on a channel": lambda task, own: task.apply_async(producer=own.Producer(own.channel())),
    "with a placement of the call's": lambda task, own: task.apply_async(
        connection=own, placement={"labels": {"gpu": "h100"}, "strategy": "round_robin"}
    ),
    "pool": lambda task, own: task.apply_async(connection=own.Pool(2).acquire()),
    "send_task": lambda task, own: task.app.send_task(task.name, connection=own),
}


@pytest.fixture
def app(clean_valkey: Server) -> Iterator[Celery]:
    app = make_app(clean_valkey.url(), switchyard.Settings(namespace="blue", strategy="round_robin"))
    yield app
    app.close()


@pytest.mark.parametrize("way", WAYS)
def test_a_task_goes_over_a_connection_of_plain_kombus(app: Celery, clean_valkey: Server, way: str) -> None:
    """Broken if a call that works with plain Celery raises, instead of sending the task unplaced."""
    with kombu.Connection(clean_valkey.url()) as own:
        WAYS[way](app.tasks["noop"], own)
    message = json.loads(text(clean_valkey.client().rpop("celery")))
    assert message["headers"]["task"] == "noop"
    assert "placement" not in message["properties"]


def test_a_task_goes_over_another_kind_of_broker(app: Celery) -> None:
    """Broken if a bridge to another broker gets properties that only our channels understand."""
    with kombu.Connection("memory://") as own:
        app.tasks["noop"].apply_async(connection=own)
        message = own.default_channel.basic_get("celery", no_ack=True)
    assert message is not None
    assert "placement" not in message.properties


def test_connections_of_ours_still_place(app: Celery, clean_valkey: Server) -> None:
    """Broken if the property goes missing where it is understood: nothing would be placed any more."""
    cluster = Cluster.on(clean_valkey, namespace="blue")
    cluster.join("a", 10, queues=["celery"])
    with app.connection_for_write() as own, app.pool.acquire() as pooled:
        app.tasks["noop"].apply_async(connection=own)
        app.tasks["noop"].apply_async(connection=pooled)
        app.tasks["noop"].apply_async(producer=own.Producer())
        app.tasks["noop"].apply_async()
    assert cluster.outstanding("a") == 4


def _publish(app: Celery) -> None:
    app.send_task("noop")
    app.close()


def test_an_application_that_was_pickled_still_places(app: Celery, clean_valkey: Server) -> None:
    """Broken if a spawned process that gets the application can't publish with it, or with other settings."""
    cluster = Cluster.on(clean_valkey, namespace="blue")
    cluster.join("a", 10, queues=["celery"])
    spawned = multiprocessing.get_context("spawn").Process(target=_publish, args=(app,))
    spawned.start()
    spawned.join(30)
    assert spawned.exitcode == 0
    assert cluster.outstanding("a") == 1


def test_a_pickled_application_is_installed_as_the_first_one(app: Celery) -> None:
    """Broken if a copy of a copy loses its settings, its messaging, or makes its workers plain ones."""
    copy = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(app))))
    assert installation(copy).settings == installation(app).settings
    assert type(copy.amqp).__name__ == "PlacingAMQP"
    assert "switchyard_workers.bootsteps:NodeStep" in copy.steps["consumer"]
    assert copy.conf.task_acks_late
