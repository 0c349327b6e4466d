"""Opens the cluster's state over the broker's own connection settings: TLS, Sentinel, credentials and all."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from kombu.exceptions import OperationalError
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, NoPermissionError, RedisError
from redis.retry import Retry

from switchyard.adapters.redis_refusals import RefusedForNow
from switchyard.cluster.state import State
from switchyard.errors import BrokerRefuses, BrokerUnreachable, ServerTooOld, UnsupportedBroker
from switchyard.settings import Settings
from switchyard.transport.connection import Connection

#: Oldest servers whose commands we use: RPOP with a count, ZRANGE by score.
OLDEST_REDIS = (6, 2)
OLDEST_VALKEY = (7, 2)


def open_state(app_or_url: Any, settings: Settings, url: str | None = None) -> State:
    """The state behind a broker URL, or behind ``url`` with an application's settings of its broker.

    Without ``url`` it is the one that the application's producers write to. Raises BrokerUnreachable,
    BrokerRefuses, UnsupportedBroker. Commands on it have a deadline of one lease, or what the user set, if
    that is shorter.
    """
    if isinstance(app_or_url, str):
        return _state(Connection(app_or_url, transport_options=_options(settings, {})))
    conf = app_or_url.conf
    options = _options(settings, conf.broker_transport_options)
    return _state(app_or_url.connection(url or conf.broker_write_url, transport_options=options))


def open_state_beside(connection: Connection, settings: Settings) -> State:
    """The state on the very server that a connection leads to. Raises what :func:`open_state` raises."""
    return _state(connection.beside(**_options(settings, connection.transport_options)))


def _options(settings: Settings, users: Mapping[str, Any]) -> dict[str, Any]:
    waits = ("socket_connect_timeout", "socket_timeout")
    options = {name: min(settings.lease, users.get(name) or math.inf) for name in waits}
    return {**options, "switchyard_namespace": settings.namespace}


def _state(connection: Connection) -> State:
    if not connection.reaches_ours:
        raise UnsupportedBroker(
            f"Switchyard needs Redis or Valkey as the broker, not {connection.transport_cls!r}; "
            "set broker_url to a redis://, rediss://, redis+socket:// or sentinel:// URL"
        )
    try:
        connection.connect()
        channel = connection.default_channel
    except (OSError, RedisError, OperationalError) as exc:
        raise _unreachable(connection.as_uri().replace("//:**@", "//"), exc) from None
    state: State = channel.cluster_state
    # redis-py would retry for longer than a lease; whoever holds this state knows better when to try again.
    state.client.set_retry(Retry(NoBackoff(), 1))
    return state


def _unreachable(url: str, exc: Exception) -> BrokerUnreachable:
    if isinstance(exc, RefusedForNow | BusyLoadingError):
        return BrokerRefuses(f"the broker at {url} takes nothing for now: {exc}; mend that server, or wait")
    return BrokerUnreachable(
        f"no answer from the broker at {url}: {exc}; "
        "check the URL, and that the server runs and lets this machine in"
    )


def require_supported(state: State) -> None:
    """Raises ServerTooOld; a server that may not tell its version gets the benefit of the doubt."""
    with suppress(NoPermissionError):
        server_name(state)


def address(state: State) -> str:
    """Where the server is: host, port and database, or the path of its socket."""
    known = state.client.connection_pool.connection_kwargs
    if "host" not in known and "path" not in known:
        return "the address that the sentinels name"
    place = known.get("path") or f"{known['host']}:{known.get('port', 6379)}"
    return f"{place}/{known.get('db') or 0}"


def server_name(state: State) -> str:
    """What the server is, such as ``Valkey 9.1.2``. Raises ServerTooOld, NoPermissionError."""
    info = state.client.info("server")
    valkey = info.get("valkey_version")
    name, text = ("Valkey", str(valkey)) if valkey else ("Redis", str(info["redis_version"]))
    version = tuple(int(part) for part in text.split(".")[:2])
    oldest = OLDEST_VALKEY if valkey else OLDEST_REDIS
    if version < oldest:
        wanted = ".".join(map(str, oldest))
        raise ServerTooOld(
            f"the broker is {name} {text}, but Switchyard needs {wanted} or later; upgrade the server"
        )
    return f"{name} {text}"
