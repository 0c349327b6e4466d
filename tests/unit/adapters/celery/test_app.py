"""What we rely on in a Celery application, in every version of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from celery import Celery
from celery.app.amqp import AMQP as CelerysAMQP

from switchyard.adapters.celery import app as celery_app


class Routed(celery_app.AMQP):
    """Messaging that adds a mark to each route."""

    def around(self, lookup: celery_app.Lookup) -> Callable[..., Any]:
        """What the user's routes say, and the mark."""

        def route(name: str, args: Any, kwargs: Any, options: Any, task: Any = None, **_: Any) -> Any:
            return {**(lookup(name, args, kwargs, options, task) or {"queue": "celery"}), "mark": "ours"}

        return route


def an_app(**conf: Any) -> Celery:
    app = Celery("x", broker="memory://", set_as_current=False)
    app.conf.update(conf)
    return app


@pytest.mark.parametrize(
    "names", [("task_acks_late", "task_track_started"), ("CELERY_ACKS_LATE", "CELERY_TRACK_STARTED")]
)
def test_a_default_is_under_what_the_user_says_in_any_names(names: tuple[str, str]) -> None:
    """Broken if tasks are acknowledged early where a project writes its settings in old names."""
    app = an_app()
    app.config_from_object({names[1]: True})
    assert app.conf.task_acks_late is False, "the configuration is read"
    before = celery_app.set_defaults(app.conf, {"task_acks_late": True, "worker_prefetch_multiplier": 1})
    assert before == {"task_acks_late": False, "worker_prefetch_multiplier": 4}
    assert (app.conf.task_acks_late, app.conf.worker_prefetch_multiplier) == (True, 1)
    celery_app.set_defaults(app.conf, before)
    assert app.conf.task_acks_late is False


def test_a_default_does_not_win_over_the_user() -> None:
    """Broken if installing overrules what a project chose."""
    app = an_app(task_acks_late=False)
    assert app.conf.broker_url == "memory://", "the configuration is read"
    celery_app.set_defaults(app.conf, {"task_acks_late": True})
    assert app.conf.task_acks_late is False


def test_our_router_is_asked_with_the_users_routes_whenever_these_change() -> None:
    """Broken if tasks go unplaced, or to the queue of a route that is gone."""
    app = an_app(task_routes={"a": "early"})
    _ = app.amqp
    celery_app.use_amqp(app, Routed, f"{__name__}:Routed")
    route = app.amqp.router.route({}, "a")
    assert (route["queue"].name, route["mark"]) == ("early", "ours")
    app.conf.update(task_routes={"a": "late"})
    route = app.amqp.router.route({}, "a")
    assert (route["queue"].name, route["mark"]) == ("late", "ours")


def test_a_messaging_class_of_the_users_is_kept() -> None:
    """Broken if installing throws away what a project made of its messaging."""

    class Users(CelerysAMQP):
        pass

    app = an_app()
    app.amqp_cls = Users
    celery_app.use_amqp(app, Routed, f"{__name__}:Routed")
    assert isinstance(app.amqp, Users)
    assert isinstance(app.amqp, Routed)


def test_a_task_is_annotated_when_it_is_made() -> None:
    """Broken if a cached task runs uncached."""

    class Annotation:
        def annotate(self, task: Any) -> dict[str, Any]:
            return {"mark": task.name}

    app = an_app()
    celery_app.annotate(app, Annotation())

    @app.task(name="t")
    def task() -> None: ...

    assert app.tasks["t"].mark == "t"


def test_a_consumers_step_is_added() -> None:
    """Broken if a worker of an application with Switchyard is no node."""
    app = an_app()
    celery_app.add_consumer_step(app, "switchyard_workers.bootsteps:NodeStep")
    assert app.steps["consumer"] == {"switchyard_workers.bootsteps:NodeStep"}
