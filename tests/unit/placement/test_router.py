"""The router picks the placement and leaves the queue to the user's own routes."""

from __future__ import annotations

from typing import Any

import pytest
from celery import Celery

import switchyard
from switchyard.errors import ConfigurationError
from switchyard.install import installation


def installed(**conf: Any) -> Celery:
    app = Celery("x", broker="redis://127.0.0.1:1/0", set_as_current=False)
    app.conf.update(conf)
    switchyard.install(app, switchyard.Settings())
    return app


def test_the_users_routes_pick_the_queue_whenever_they_are_set() -> None:
    """Installing Switchyard would send tasks to other queues than before."""
    app = installed(task_routes={"a.*": {"queue": "early"}})
    assert app.amqp.router.route({}, "a.b")["queue"].name == "early"
    app.conf.update(task_routes={"a.*": "late"})
    assert app.amqp.router.route({}, "a.b")["queue"].name == "late"
    assert app.amqp.router.route({}, "other")["queue"].name == "celery"


def test_what_a_caller_passes_wins_over_the_route() -> None:
    """`apply_async(queue=...)` would be ignored."""
    app = installed(task_routes={"a": {"queue": "route"}})
    route = app.amqp.router.route({"queue": "caller", "priority": 3}, "a")
    assert (route["queue"].name, route["priority"]) == ("caller", 3)


def test_the_callers_placement_is_kept_in_a_header_for_retries() -> None:
    """A retried task would forget which nodes may run it."""
    route = installed().amqp.router.route({"placement": {"node": "n1"}, "headers": {"mine": 1}}, "a")
    assert route["headers"] == {"mine": 1, "placement": {"node": "n1"}}
    again = installed().amqp.router.route({"headers": route["headers"]}, "a")
    assert again["placement"].intent.selector.node == "n1"


def test_users_settings_win_over_ours() -> None:
    """Installing Switchyard would overrule what the user chose."""
    app = installed(task_acks_late=False, worker_prefetch_multiplier=8)
    assert (app.conf.task_acks_late, app.conf.worker_prefetch_multiplier) == (False, 8)
    assert installed().conf.task_acks_late is True
    later = installed()
    later.conf.task_acks_late = False
    assert later.conf.task_acks_late is False


@pytest.mark.parametrize(
    "names", [("task_acks_late", "task_track_started"), ("CELERY_ACKS_LATE", "CELERY_TRACK_STARTED")]
)
@pytest.mark.parametrize("configured_first", [True, False])
def test_settings_from_an_object_win_over_ours(names: tuple[str, str], configured_first: bool) -> None:
    """A project with a celeryconfig module would have its choices overruled."""
    acks_late, other = names
    app = Celery("x", broker="redis://127.0.0.1:1/0", set_as_current=False)
    app.config_from_object({acks_late: False, other: True})
    if configured_first:
        assert app.conf.task_acks_late is False
    switchyard.install(app, switchyard.Settings())
    assert app.conf.task_acks_late is False
    assert app.conf.task_track_started is True
    assert app.conf.task_reject_on_worker_lost is True
    assert app.conf.worker_prefetch_multiplier == 1


@pytest.mark.parametrize(
    ("url", "transport", "ssl"),
    [
        ("redis://h:1/0", "Transport", False),
        ("rediss://h:1/0?ssl_cert_reqs=required", "Transport", True),
        ("redis+socket:///tmp/x.sock", "Transport", False),
        ("sentinel://a:1;sentinel://b:1", "SentinelTransport", False),
    ],
)
def test_every_kind_of_redis_url_keeps_its_meaning(url: str, transport: str, ssl: bool) -> None:
    """TLS would be dropped, or Sentinel ignored."""
    app = installed()
    app.conf.broker_url = url
    connection = app.connection()
    assert type(connection.transport).__name__ == transport
    assert type(connection.transport).__module__ == "switchyard.transport.channel"
    assert bool(connection.ssl) is ssl


def test_an_application_without_install_is_told_what_to_add() -> None:
    """The command line would fail with an AttributeError."""
    with pytest.raises(ConfigurationError, match=r"switchyard\.install"):
        installation(Celery("bare", set_as_current=False))


def test_settings_and_config_together_are_refused() -> None:
    """One of the two would be ignored without a word."""
    with pytest.raises(ConfigurationError, match="not both"):
        switchyard.install(Celery("x", set_as_current=False), switchyard.Settings(), config="x.toml")
