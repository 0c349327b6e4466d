"""An application whose broker is neither Redis nor Valkey is one of plain Celery's, and is told so once."""

from __future__ import annotations

from typing import Any

import pytest
from celery import Celery
from celery.contrib.testing.worker import start_worker

import switchyard
from switchyard.errors import UnsupportedBroker
from switchyard.install import SAFE_DEFAULTS, installation
from switchyard.transport.opening import open_state

OTHERS = ["amqp://localhost", "memory://", "filesystem://"]


def installed(broker: str | None = None, **conf: Any) -> Celery:
    app = Celery("shop", broker=broker, set_as_current=False)
    app.conf.update(conf)
    switchyard.install(app, switchyard.Settings())
    return app


def defaults(app: Celery) -> dict[str, Any]:
    return {name: app.conf[name] for name in SAFE_DEFAULTS}


@pytest.mark.parametrize("url", OTHERS)
def test_nothing_of_ours_is_left(url: str) -> None:
    """Broken if a broker gets a message that it cannot understand, or tasks are acknowledged late."""
    app, plain = installed(url), Celery("plain", broker=url, set_as_current=False)
    route = app.amqp.router.route({"placement": {"node": "n1"}}, "task")
    assert route == {"queue": app.amqp.queues["celery"]}
    assert defaults(app) == defaults(plain)
    assert type(app.connection().transport) is type(plain.connection().transport)


def test_the_queue_is_the_one_that_plain_celery_takes() -> None:
    """Broken if installing Switchyard sends tasks to other queues."""
    app = installed("memory://", task_routes={"a": {"queue": "mine", "placement": {"node": "n1"}}})
    assert app.amqp.router.route({}, "a") == {"queue": app.amqp.queues["mine"]}
    assert app.amqp.router.route({"queue": "theirs"}, "b") == {"queue": app.amqp.queues["theirs"]}


def test_it_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """Broken if somebody runs without Switchyard and does not know it, or is told so with every task."""
    app = installed("memory://")
    for _ in range(3):
        app.amqp.router.route({}, "task")
        app.connection().release()
    assert [record.name for record in caplog.records] == ["switchyard.transport.broker"]
    assert "'shop'" in caplog.text


@pytest.mark.parametrize("other", OTHERS)
def test_the_broker_may_be_named_late(other: str, caplog: pytest.LogCaptureFixture) -> None:
    """Broken if what counts is the broker at the moment of install, or a test suite cannot change it."""
    app = installed()
    assert app.conf.task_acks_late is True, "a broker that is not named yet is no other broker"
    assert not caplog.records
    for url, acks_late in (("redis://127.0.0.1:1/0", True), (other, False), ("redis://127.0.0.1:1/0", True)):
        app.conf.broker_url = url
        app.connection().release()
        assert ("placement" in app.amqp.router.route({}, "task")) is acks_late
        assert app.conf.task_acks_late is acks_late


def test_what_the_user_set_stays(caplog: pytest.LogCaptureFixture) -> None:
    """Broken if taking our defaults back takes the user's choice along."""
    app = installed("memory://", task_acks_late=True)
    assert installation(app).broker.is_ours is False
    assert app.conf.task_acks_late is True


@pytest.mark.parametrize("url", OTHERS)
def test_what_needs_a_cluster_is_refused(url: str) -> None:
    """Broken if `switchyard worker` starts something that is no node."""
    app = installed(url)
    with pytest.raises(UnsupportedBroker, match=r"redis://"):
        open_state(app, installation(app).settings)
    with pytest.raises(UnsupportedBroker, match=r"redis://"):
        open_state(url, installation(app).settings)


def test_a_worker_on_it_runs_tasks() -> None:
    """Broken if a test suite that runs on memory:// stops working once Switchyard is installed."""
    app = installed("memory://", result_backend="cache+memory://")

    @app.task(name="double")
    @switchyard.cached(key="{number}")
    def double(number: int) -> int:
        return 2 * number

    with start_worker(app, pool="solo", perform_ping_check=False):
        assert double.delay(4).get(timeout=20) == 8
        assert double.apply_async((5,), placement={"strategy": "random"}).get(timeout=20) == 10
