"""What we use of Flower, and of tornado under it, that they do not promise to keep."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from flower import command
from flower.app import rewrite_handler
from flower.options import DEFAULT_CONFIG_FILE, options
from flower.urls import settings
from tornado.template import Loader, Template
from tornado.web import RequestHandler, url

T = TypeVar("T")

#: What the names of the variables begin with through which Flower's options may be set.
VARIABLE_PREFIX: str = command.ENV_VAR_PREFIX
#: Flower's configuration file if no other is named.
CONFIG_FILE: str = DEFAULT_CONFIG_FILE

#: Flower's navigation bar, and in it the end of its list of tabs.
_NAVBAR, _END_OF_TABS = "navbar.html", "</ul>"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Option:
    """An option of Flower's or tornado's: its ``kind`` is the type of its values."""

    name: str
    kind: type
    multiple: bool
    help: str


def known_options() -> list[Option]:
    """Every option, in the order in which it was defined; names have hyphens or underscores."""
    return [
        Option(option.name, option.type, option.multiple, option.help or "")
        for option in options._options.values()
    ]


def apply_options(
    address: str, arguments: Sequence[str], overlooked: Collection[str] = ()
) -> tuple[Any, dict[str, Any]]:
    """Flower's options and tornado's settings, from these, the configuration file and the environment.

    ``address`` is where to listen if nothing else is said; variables that are ``overlooked`` are no options.
    Raises whatever the configuration file does, which is Python.
    """
    options.address = address
    hidden = {name: os.environ.pop(name) for name in overlooked}
    try:
        command.apply_env_options()
    finally:
        os.environ.update(hidden)
    command.apply_options("flower", arguments)
    command.extract_settings()
    command.setup_logging()
    return options, settings


def say_where(capp: Any, encrypted: bool, port: int | None) -> None:
    """Log where the dashboard is, as Flower does."""
    command.print_banner(capp, encrypted, port)


def end_on_sigterm() -> None:
    """Let SIGTERM raise SystemExit, as Flower does."""
    signal.signal(signal.SIGTERM, command.sigterm_handler)


def below_prefix(handlers: Iterable[url], prefix: str | None) -> list[url]:
    """The handlers at addresses below Flower's ``url_prefix``, if there is one."""
    return [rewrite_handler(handler, prefix) if prefix else handler for handler in handlers]


async def run_blocking(
    handler: RequestHandler, what: str, act: Callable[[], T], outage: tuple[type[Exception], ...]
) -> T:
    """Do something that may block outside the event loop; an ``outage`` becomes an answer of 503."""
    flower: Any = handler.application
    done: T = await flower.blocking_runner.run(what, handler.request.path, act, connection_errors=outage)
    return done


def reason_of(handler: RequestHandler) -> str:
    """The reason phrase of the handler's answer."""
    reason: str = handler._reason
    return reason


class Templates(Loader):
    """Templates of a folder of ours first, then Flower's, with ``tabs`` of ours in its navigation bar.

    ``flower/NAME`` is Flower's own also where we have one. Logs a warning if Flower's navigation bar has no
    place for ours.
    """

    def __init__(self, flowers: str, ours: Path, tabs: str) -> None:
        super().__init__(flowers)
        self._ours = ours
        self._include = f'{{% include "{tabs}" %}}'
        if _END_OF_TABS not in Path(flowers, _NAVBAR).read_text():
            _log.warning(
                "Flower's navigation bar has no place for our tabs; open /nodes, /queues and /dead by "
                "hand, or install the Flower that Switchyard knows: pip install 'celery-switchyard[flower]'"
            )

    def _create_template(self, name: str) -> Template:
        ours = self._ours / name
        path = ours if ours.is_file() else Path(self.root, name.removeprefix("flower/"))
        source = path.read_text()
        if name == _NAVBAR:
            source = source.replace(_END_OF_TABS, self._include + _END_OF_TABS, 1)
        return Template(source, name=name, loader=self)
