"""Which kind of broker an application has: one that we can work on, or one that is plain Celery's."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from switchyard.transport.connection import Connection

_log = logging.getLogger(__name__)


class Broker:
    """Redis or Valkey, or anything else, found out when it is first asked for. No connection is made.

    ``configure`` is called with the application's configuration and the answer, each time it is found out.
    """

    def __init__(self, app: Any, configure: Callable[[Any, bool], None]) -> None:
        self._app = app
        self._configure = configure
        self._is_ours: bool | None = None
        self._warned = False

    @property
    def is_ours(self) -> bool:
        """Whether we can work on it. Where we can not, the application is one of plain Celery's."""
        if self._is_ours is None:
            conf = self._app.conf
            self._is_ours = _are_ours(conf)
            self._found(conf, self._is_ours)
        return self._is_ours

    @property
    def is_in_memory(self) -> bool:
        """Whether it is ``memory://``: all who share it are in this process."""
        conf = self._app.conf
        return (
            not self.is_ours
            and Connection(conf.broker_write_url, transport=conf.broker_transport).is_in_memory
        )

    def configured(self, conf: Any) -> None:
        """The application reads its configuration; a broker that is not named yet may still be."""
        self._found(conf, conf.broker_write_url is None or _are_ours(conf))

    def forget(self) -> None:
        """A connection is made: the configuration may name another broker by now."""
        self._is_ours = None

    def _found(self, conf: Any, is_ours: bool) -> None:
        self._configure(conf, is_ours)
        if not is_ours and not self._warned:
            self._warned = True
            _log.warning(
                "The broker of %r is neither Redis nor Valkey, so it works as with plain Celery; "
                "for Switchyard, set broker_url to a redis://, rediss://, redis+socket:// or sentinel:// URL",
                self._app.main,
            )


def _are_ours(conf: Any) -> bool:
    """Where nodes read from and where producers write to may be two brokers."""
    urls = (conf.broker_write_url, conf.broker_read_url)  # each of which may be a list
    return all(_is_ours(url, conf.broker_transport) for url in urls)


def _is_ours(url: Any, transport: str | None) -> bool:
    try:
        return Connection(url, transport=transport).reaches_ours
    except (ValueError, LookupError, ImportError):
        return True  # nothing can be sent to it, and whoever tries is told why
