"""``install``: the one place that wires Switchyard into a Celery application."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from celery import Celery

from switchyard.adapters.celery import app as celery_app
from switchyard.adapters.kombu_redis.deadlines import CONNECTS_S
from switchyard.cached_tasks.decorator import TaskAnnotations, refuse_late
from switchyard.cached_tasks.results import Results
from switchyard.current_app import remember
from switchyard.errors import ConfigurationError
from switchyard.placement.placer import Placer
from switchyard.placement.request import PLACEMENT
from switchyard.placement.router import Router
from switchyard.settings import Settings, load
from switchyard.transport.broker import Broker
from switchyard.transport.connection import Connection, PooledConnection

#: Settings of Celery that make "nothing is ever lost" true. They are defaults: what the user sets wins.
SAFE_DEFAULTS: Mapping[str, Any] = {
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "worker_prefetch_multiplier": 1,
    "worker_enable_prefetch_count_reduction": False,
    "task_serializer": "json",
    "result_serializer": "json",
    "accept_content": ["json"],
    # Without it, whoever stores a result on a server that is gone may wait for minutes.
    "redis_socket_connect_timeout": CONNECTS_S,
}

#: The consumer's step that makes a Celery worker a node; a name, because that package stands on this one.
_NODE_STEP = "switchyard_workers.bootsteps:NodeStep"
#: Where Celery finds our messaging: an application whose class is named by its path can be pickled.
_AMQP = "switchyard.install:PlacingAMQP"


@dataclass(frozen=True, slots=True)
class Installation:
    """What an application has of Switchyard."""

    settings: Settings
    placer: Placer
    broker: Broker


class PlacingAMQP(celery_app.AMQP):
    """Celery's messaging, with our connection and our router around the user's own routes."""

    def Connection(self, *args: Any, **kwargs: Any) -> Connection:  # noqa: D102 - Celery's name
        found = installation(self.app)
        found.broker.forget()
        options = {
            "switchyard_namespace": found.settings.namespace,
            **(kwargs.pop("transport_options", None) or {}),
        }
        return Connection(*args, transport_options=options, **kwargs)

    def around(self, lookup: celery_app.Lookup) -> Router:
        """Our router, which asks the user's."""
        found = installation(self.app)

        def users(name: str, args: Any, kwargs: Any, options: Mapping[str, Any], task: Any) -> Any:
            # Celery falls back to the default queue only where no router answers, and ours always does.
            route = lookup(name, args, kwargs, options, task)
            return route or (None if "queue" in options else self.app.conf.task_default_queue)

        return Router(found.placer, users, lambda: found.broker.is_ours)

    def options_for(self, connection: Any, options: dict[str, Any]) -> dict[str, Any]:
        """Those of the call, without the placement where nobody on the way would understand it."""
        if PLACEMENT in options and not isinstance(connection, Connection | PooledConnection):
            del options[PLACEMENT]
        return options


def install(
    app: Celery, settings: Settings | None = None, *, config: str | os.PathLike[str] | None = None
) -> None:
    """Make ``app`` place its tasks and its workers nodes. Call it once, where the application is made.

    ``settings`` are used as they are; ``config`` is the path of a TOML file, over which ``SWITCHYARD_*``
    variables go. No connection is made. Raises ConfigurationError (unknown setting, unknown strategy).
    Where the broker turns out to be neither Redis nor Valkey, that is said in a warning of the log, and the
    application works as if this was never called.
    """
    if settings is not None and config is not None:
        raise ConfigurationError("install() takes settings or config, not both; drop one of them")
    refuse_late(app)
    chosen = settings if settings is not None else load(config)
    broker = Broker(app, SafeDefaults().set)
    app.switchyard = Installation(chosen, Placer(chosen), broker)
    celery_app.annotate(app, TaskAnnotations(app, Results(app, chosen, broker)))
    if app.configured:
        broker.configured(app.conf)
    app.on_after_configure.connect(lambda source, **_: broker.configured(source), weak=False)
    celery_app.use_amqp(app, PlacingAMQP, _AMQP)
    celery_app.add_consumer_step(app, _NODE_STEP)
    celery_app.carry(app, partial(install, settings=chosen))
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


class SafeDefaults:
    """Our defaults of Celery's settings in one application, which go again where the broker is not ours."""

    def __init__(self) -> None:
        self._celerys: Mapping[str, Any] | None = None

    def set(self, conf: Any, ours: bool) -> None:
        """Put ours in place, or Celery's own back."""
        if ours:
            before = celery_app.set_defaults(conf, SAFE_DEFAULTS)
            self._celerys = before if self._celerys is None else self._celerys
        elif self._celerys is not None:
            celery_app.set_defaults(conf, self._celerys)
