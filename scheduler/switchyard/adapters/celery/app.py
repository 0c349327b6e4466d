"""What we touch of a Celery application that Celery keeps to itself. Versions: Celery 5.4 to 5.7."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from celery import Celery, current_app
from celery.app import amqp as celery_amqp
from celery.app.annotations import prepare as prepare_annotations
from celery.app.annotations import resolve_all
from celery.app.defaults import _TO_OLD_KEY
from celery.app.routes import Router as CeleryRouter
from celery.app.routes import prepare as prepare_routes
from kombu.utils.imports import symbol_by_name

#: Celery's own lookup of a task's route: (name, args, kwargs, options, task) -> what the user's routes say.
Lookup = Callable[[str, Any, Any, Mapping[str, Any], Any], Any]

_DEFAULT_AMQP = "celery.app.amqp:AMQP"


class AMQP(celery_amqp.AMQP):
    """Celery's messaging, with a router of ours around the user's own routes."""

    app: Celery

    def flush_routes(self) -> None:
        """Wrap whatever ``task_routes`` says now; Celery calls this whenever it changes."""
        users = CeleryRouter(routes=prepare_routes(self.app.conf.task_routes), app=self.app)
        self._rtable = [self.around(users.lookup_route)]

    def around(self, lookup: Lookup) -> Callable[..., Any]:
        """The router that Celery shall ask instead of the user's, whom ``lookup`` asks."""
        raise NotImplementedError

    def options_for(self, connection: Any, options: dict[str, Any]) -> dict[str, Any]:
        """What a task's message is sent with over this connection, which may be no one of ours."""
        raise NotImplementedError

    def _create_task_sender(self) -> Callable[..., Any]:
        send = super()._create_task_sender()

        def send_task_message(producer: Any, *args: Any, **options: Any) -> Any:
            return send(producer, *args, **self.options_for(producer.connection, options))

        return send_task_message


class Carried:
    """What is done to an application again when it was pickled and is made anew in another process.

    ``do`` gets the application and can be pickled.
    """

    def __init__(self, do: Callable[[Celery], None]) -> None:
        self.do = do

    def __call__(self, app: Celery) -> None:
        """Celery pickles what it knows as a fixup along, and calls it before the application is complete."""
        users = app.on_init

        def on_init() -> None:
            users()
            self.do(app)

        app.on_init = on_init


def carry(app: Celery, do: Callable[[Celery], None]) -> None:
    """Let this be done to the application in every process that gets it pickled."""
    others = (fixup for fixup in app.fixups if not isinstance(fixup, Carried))
    app.fixups = {*others, Carried(do)}


def use_amqp(app: Celery, ours: type[AMQP], name: str) -> None:
    """Let the application's messaging be ``ours``, mixed into a class of the user's; ``name`` is its path.

    What the application has of messaging so far is made anew when it is used next.
    """
    if app.amqp_cls == _DEFAULT_AMQP:
        app.amqp_cls = name  # a name can be pickled
    else:
        base = symbol_by_name(app.amqp_cls)
        app.amqp_cls = base if issubclass(base, ours) else type(ours.__name__, (ours, base), {})
    app.__dict__.pop("amqp", None)


def annotate(app: Celery, annotation: Any) -> None:
    """Let ``annotation`` see every task that is made, instead of ``task_annotations``."""
    app.annotations = [annotation]


def annotations_of(app: Celery, task: Any) -> Iterator[Mapping[str, Any]]:
    """What the user's ``task_annotations`` say of a task."""
    yield from resolve_all(prepare_annotations(app.conf.task_annotations), task)


def add_consumer_step(app: Celery, name: str) -> None:
    """Give each worker of the application the step at this path."""
    app.steps["consumer"].add(name)


def set_defaults(conf: Any, values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Change Celery's own defaults, under all that the user says; what they were before.

    In new names of settings or in old ones, as the user writes them: with old ones, Celery looks under these
    alone. ``add_defaults`` would put ours over what comes from ``config_from_object``.
    """
    celerys = conf.maps[-1]
    ours = {name if name in celerys else _TO_OLD_KEY[name]: value for name, value in values.items()}
    before = {name: celerys[key] for name, key in zip(values, ours, strict=True)}
    celerys.update(ours)
    return before


def current() -> Celery:
    """The current application itself, not the proxy that follows it."""
    return current_app._get_current_object()
