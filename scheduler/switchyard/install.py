"""``install``: the one place that wires Switchyard into a Celery application."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from celery import Celery
from celery.app.amqp import AMQP
from celery.app.defaults import _TO_OLD_KEY
from celery.app.routes import Router as CeleryRouter
from celery.app.routes import prepare
from kombu.utils.imports import symbol_by_name

from switchyard.cached_tasks.decorator import TaskAnnotations, refuse_late
from switchyard.cached_tasks.results import Results
from switchyard.current_app import remember
from switchyard.errors import ConfigurationError
from switchyard.placement.placer import Placer
from switchyard.placement.router import Router
from switchyard.settings import Settings, load
from switchyard.transport.connection import Connection

#: Settings of Celery that make "nothing is ever lost" true. They are defaults: what the user sets wins.
SAFE_DEFAULTS: Mapping[str, Any] = {
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "worker_prefetch_multiplier": 1,
    "task_serializer": "json",
    "result_serializer": "json",
    "accept_content": ["json"],
}

#: The consumer's step that makes a Celery worker a node; a name, because that package stands on this one.
_NODE_STEP = "switchyard_workers.bootsteps:NodeStep"
_DEFAULT_AMQP = "celery.app.amqp:AMQP"


@dataclass(frozen=True, slots=True)
class Installation:
    """What an application has of Switchyard."""

    settings: Settings
    placer: Placer


class PlacingAMQP(AMQP):
    """Celery's messaging, with our connection and our router around the user's own routes."""

    def Connection(self, *args: Any, **kwargs: Any) -> Connection:  # noqa: D102 - Celery's name
        options = {
            "switchyard_namespace": installation(self.app).settings.namespace,
            **(kwargs.pop("transport_options", None) or {}),
        }
        return Connection(*args, transport_options=options, **kwargs)

    def flush_routes(self) -> None:
        """Wrap whatever ``task_routes`` says now; Celery calls this whenever it changes."""
        users = CeleryRouter(routes=prepare(self.app.conf.task_routes), app=self.app)

        def lookup(name: str, args: Any, kwargs: Any, options: Mapping[str, Any], task: Any) -> Any:
            # Celery falls back to the default queue only where no router answers, and ours always does.
            found = users.lookup_route(name, args, kwargs, options, task)
            return found or (None if "queue" in options else self.app.conf.task_default_queue)

        self._rtable = [Router(installation(self.app).placer, lookup)]


def install(
    app: Celery, settings: Settings | None = None, *, config: str | os.PathLike[str] | None = None
) -> None:
    """Make ``app`` place its tasks and its workers nodes. Call it once, where the application is made.

    ``settings`` are used as they are; ``config`` is the path of a TOML file, over which ``SWITCHYARD_*``
    variables go. No connection is made. Raises ConfigurationError (unknown setting, unknown strategy);
    a broker that is not Redis or Valkey raises UnsupportedBroker when it is first used.
    """
    if settings is not None and config is not None:
        raise ConfigurationError("install() takes settings or config, not both; drop one of them")
    refuse_late(app)
    chosen = settings if settings is not None else load(config)
    app.switchyard = Installation(chosen, Placer(chosen))
    app.annotations = [TaskAnnotations(app, Results(app, chosen))]
    if app.configured:
        _set_defaults(app.conf)
    app.on_after_configure.connect(lambda source, **_: _set_defaults(source), weak=False)
    app.amqp_cls = _amqp_class(app.amqp_cls)
    app.__dict__.pop("amqp", None)
    app.steps["consumer"].add(_NODE_STEP)
    remember(app)


def installation(app: Celery) -> Installation:
    """What ``install`` left on the application. Raises ConfigurationError if it was not called."""
    found: Installation | None = getattr(app, "switchyard", None)
    if found is None:
        raise ConfigurationError(
            f"the Celery application {app.main!r} does not use Switchyard; "
            "add 'import switchyard; switchyard.install(app)' where it is made"
        )
    return found


def _set_defaults(conf: Any) -> None:
    """Change Celery's own defaults, under all that the user says, in new names of settings or in old ones.

    ``add_defaults`` would put ours over what comes from ``config_from_object``.
    """
    celerys = conf.maps[-1]
    celerys.update(
        {name if name in celerys else _TO_OLD_KEY[name]: value for name, value in SAFE_DEFAULTS.items()}
    )


def _amqp_class(current: Any) -> Any:
    if current == _DEFAULT_AMQP:
        return "switchyard.install:PlacingAMQP"
    base = symbol_by_name(current)
    return base if issubclass(base, PlacingAMQP) else type("PlacingAMQP", (PlacingAMQP, base), {})
