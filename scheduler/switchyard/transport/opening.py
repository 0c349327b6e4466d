"""Opens the cluster's state over the broker's own connection settings: TLS, Sentinel, credentials and all."""

from __future__ import annotations

import math
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


def open_state(app_or_url: Any, settings: Settings) -> State:
    """The state of an application's cluster, or of the one behind a broker URL.

    Raises BrokerUnreachable, BrokerRefuses, UnsupportedBroker. Commands on it have a deadline of one lease,
    or what the user set, if that is shorter.
    """
    users = {} if isinstance(app_or_url, str) else app_or_url.conf.broker_transport_options
    waits = ("socket_connect_timeout", "socket_timeout")
    options: dict[str, Any] = {name: min(settings.lease, users.get(name) or math.inf) for name in waits}
    options["switchyard_namespace"] = settings.namespace
    if isinstance(app_or_url, str):
        connection = Connection(app_or_url, transport_options=options)
    else:
        connection = app_or_url.connection(app_or_url.conf.broker_write_url, transport_options=options)
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
