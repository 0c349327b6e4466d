"""Which servers decide: the broker alone, or those whose URLs are given."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from switchyard.adapters.celery.task import running_app
from switchyard.adapters.redis_client import set_connection_limit
from switchyard.cluster.keys import Keys
from switchyard.coordination.in_process import InProcess
from switchyard.coordination.voter import Voter
from switchyard.coordination.voters import Voters
from switchyard.current_app import latest
from switchyard.errors import ConfigurationError, UnsupportedBroker
from switchyard.forking import PerProcess
from switchyard.settings import Settings, load
from switchyard.transport.opening import open_state
from switchyard.urls import address

#: Shares of the ttl that connecting to a server, and its answer, may take each: a renewal that starts after
#: a third of the ttl ends before the rest has run out.
_TIMEOUT_SHARE = 0.25
#: Longest that one server is waited for, in seconds.
_TIMEOUT_MAX = 2.0
#: Connections to the broker that a process may have at once: more than it has threads.
_CONNECTIONS = 10_000
#: Sets of voters that a process keeps connected.
_REMEMBERED = 64
_BROKER_URL = "SWITCHYARD_BROKER_URL"


def voters(servers: Sequence[str] | None, ttl: float) -> Voters:
    """Those who decide on something of this ttl. No connection is made. Raises ConfigurationError."""
    timeout = min(ttl * _TIMEOUT_SHARE, _TIMEOUT_MAX)
    app = _installed_app()
    namespace = _own_namespace() if app is None else app.switchyard.settings.namespace
    if servers is not None:
        return _several.get()(_checked(servers), namespace, timeout)
    if app is None and _BROKER_URL not in os.environ:
        raise ConfigurationError(
            "which server shall decide? No Celery application of this process uses Switchyard; call "
            f"switchyard.install(app), pass servers=[url, ...] or set {_BROKER_URL}"
        )
    if app is not None and not app.switchyard.broker.is_ours:
        return _without_a_server(app)
    return _broker.get()(os.environ[_BROKER_URL] if app is None else app, namespace, timeout)


def _without_a_server(app: Any) -> Voters:
    """This process's memory, if that is the broker. Raises UnsupportedBroker for any other."""
    if not app.switchyard.broker.is_in_memory:
        raise UnsupportedBroker(
            f"no server decides on locks and elections: the broker of {app.main!r} is neither Redis nor "
            "Valkey; pass servers=[url, ...], or in tests set broker_url to memory://"
        )
    return _in_process.get()


@functools.cache
def _own_namespace() -> str:
    """What the environment says, read once: a lock must not cost a look at all settings."""
    return load().namespace


def _installed_app() -> Any:
    """The application of the running task, or else the current one, or else the last that was installed."""
    app = running_app()
    return app if hasattr(app, "switchyard") else latest()


def _checked(servers: Sequence[str]) -> tuple[str, ...]:
    if isinstance(servers, str) or not servers or len(set(servers)) < len(servers):
        raise ConfigurationError(
            f"servers={servers!r} cannot vote; give a list of different URLs, each of a server of its own"
        )
    return tuple(servers)


def _of_urls(urls: tuple[str, ...], namespace: str, timeout: float) -> Voters:
    def opened(url: str) -> Voter:
        client = Redis.from_url(
            url, socket_timeout=timeout, socket_connect_timeout=timeout, retry=Retry(NoBackoff(), 0)
        )
        return Voter(client, Keys(namespace), alone=len(urls) == 1)

    names = [_without_password(number, url) for number, url in enumerate(urls)]
    opening = [functools.partial(opened, url) for url in urls]
    return Voters(list(zip(names, opening, strict=True)), timeout)


def _of_broker(app_or_url: Any, namespace: str, timeout: float) -> Voters:
    def opened() -> Voter:
        state = open_state(app_or_url, Settings.model_construct(namespace=namespace, lease=timeout))
        state.client.set_retry(Retry(NoBackoff(), 0))
        # kombu lends ten connections, enough for its one thread; here every thread that waits holds one.
        set_connection_limit(state.client, _CONNECTIONS)
        return Voter(state.client, state.keys, alone=True)

    return Voters([("the broker", opened)], timeout)


def _without_password(number: int, url: str) -> str:
    try:
        return address(url)
    except ValueError as exc:
        raise ConfigurationError(f"servers[{number}] is no URL of a Redis: {exc}; mend it") from None


# A fork has none of its parent's threads, and must not write to its parent's connections.
_several = PerProcess(lambda: functools.lru_cache(_REMEMBERED)(_of_urls))
_broker = PerProcess(lambda: functools.lru_cache(_REMEMBERED)(_of_broker))
_in_process = PerProcess(lambda: Voters([("this process", InProcess)], _TIMEOUT_MAX))
