"""Publishing over connections that fall silent."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from multiprocessing import get_context
from typing import Any

import pytest
from celery import Celery
from kombu.exceptions import OperationalError

from switchyard import Settings
from tests.support.app import make_app
from tests.support.proxy import Proxy, proxy_of
from tests.support.servers import Server

THREADS = 8
#: The read deadline, in seconds.
DEADLINE = 1.0


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    with proxy_of(server.port) as proxy:
        yield proxy


@pytest.fixture
def app(proxy: Proxy) -> Iterator[Celery]:
    app = make_app(proxy.url(), Settings(refresh=0.05))
    app.conf.broker_transport_options = {"socket_timeout": DEADLINE, "socket_connect_timeout": DEADLINE}
    yield app
    app.close()


class Publisher(threading.Thread):
    """Publishes again and again; keeps how long each call took, and the errors."""

    def __init__(self, app: Celery, times: int) -> None:
        super().__init__(daemon=True)
        self.app = app
        self.times = times
        self.took: list[float] = []
        self.errors: list[Exception] = []

    def run(self) -> None:
        """Publish."""
        for _ in range(self.times):
            began = time.monotonic()
            try:
                self.app.tasks["noop"].delay()
            except OperationalError as exc:
                self.errors.append(exc)
            self.took.append(time.monotonic() - began)


def run_all(app: Celery, times: int, threads: int = THREADS) -> list[Publisher]:
    """Threads that publish at the same time, once they have."""
    publishers = [Publisher(app, times) for _ in range(threads)]
    for publisher in publishers:
        publisher.start()
    for publisher in publishers:
        publisher.join(60)
        assert not publisher.is_alive()
    return publishers


@pytest.mark.timing
def test_one_silent_connection_keeps_one_thread_waiting(app: Celery, proxy: Proxy) -> None:
    """Broken if a thread waits for the network with a lock that the others want."""
    run_all(app, 20)
    proxy.silence_one()
    slow = [took for publisher in run_all(app, 50) for took in publisher.took if took > DEADLINE / 2]
    assert len(slow) <= 1
    assert all(took < 3 * DEADLINE for took in slow)


@pytest.mark.timing
def test_threads_do_not_fail_one_after_the_other(app: Celery, proxy: Proxy) -> None:
    """Broken if each thread waits for the deadline of the one before it."""
    run_all(app, 5, threads=10)
    proxy.silence()
    publishers = run_all(app, 1, threads=10)
    took = [publisher.took[0] for publisher in publishers]
    assert all(publisher.errors for publisher in publishers)
    assert max(took) - min(took) < 2 * DEADLINE


def options_of(app: Celery) -> dict[str, Any]:
    """What a connection to the broker is made with."""
    with app.connection() as connection:
        options: dict[str, Any] = connection.default_channel.pool.connection_kwargs
        return options


def test_connections_have_deadlines_and_keepalive(server: Server) -> None:
    """Broken if whoever publishes to a server that is gone waits for ever."""
    app = make_app(server.url())
    options = options_of(app)
    assert 0 < options["socket_connect_timeout"] < options["socket_timeout"] < 60
    assert options["socket_keepalive"]
    assert options["socket_keepalive_options"]
    app.close()


def test_what_the_user_set_wins(server: Server) -> None:
    """Broken if a user can't choose longer deadlines, or none."""
    app = make_app(server.url())
    app.conf.broker_transport_options = {"socket_timeout": None, "socket_connect_timeout": 77}
    options = options_of(app)
    assert (options["socket_timeout"], options["socket_connect_timeout"]) == (None, 77)
    app.close()


def test_children_that_are_forked_while_threads_publish_and_wait_publish_too(
    app: Celery, proxy: Proxy
) -> None:
    """Broken if a lock that a thread held at the fork is held for ever in the child."""
    run_all(app, 5)
    proxy.silence_one()
    publishers = [Publisher(app, 100) for _ in range(THREADS)]
    for publisher in publishers:
        publisher.start()
    for _ in range(10):
        child = get_context("fork").Process(target=app.tasks["noop"].delay)
        child.start()
        child.join(20)
        assert child.exitcode == 0
    for publisher in publishers:
        publisher.join(60)
