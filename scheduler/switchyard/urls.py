"""Where URLs lead: names of servers, without credentials."""

from __future__ import annotations

from typing import Any

from redis.connection import parse_url

from switchyard.errors import ConfigurationError

#: kombu's name of a scheme -> redis-py's.
_SCHEMES = {"redis": "redis", "rediss": "rediss", "redis+socket": "unix", "socket": "unix"}

#: The same for options in the URL.
_OPTIONS = {
    "virtual_host=": "db=",
    "ssl_cert_reqs=CERT_NONE": "ssl_cert_reqs=none",
    "ssl_cert_reqs=CERT_OPTIONAL": "ssl_cert_reqs=optional",
    "ssl_cert_reqs=CERT_REQUIRED": "ssl_cert_reqs=required",
}


def is_cluster(url: str) -> bool:
    """Whether a URL leads to a Redis Cluster: ``redis+cluster://`` or ``rediss+cluster://``."""
    return url.partition(":")[0].endswith("+cluster")


def address(url: str) -> str:
    """Such as ``10.0.0.7:6379`` or ``/run/valkey.sock``. Raises ValueError."""
    return _address(_parts(url))


def server_name(url: str) -> str:
    """Such as ``10.0.0.7:6379/0`` or ``/run/valkey.sock/0``. Raises ConfigurationError.

    The name is the server's place on the ring: a new password does not move keys.
    """
    try:
        parts = _parts(url)
    except ValueError as exc:
        # What the parser took for a host or a port may be a piece of the password.
        why = "are there characters to percent-encode before the @?" if "@" in url else str(exc)
        raise ConfigurationError(
            f"{url.rpartition('@')[2]!r} is no URL of a cache server: {why}; "
            "write redis://, rediss://, unix:// or, alone, redis+cluster://"
        ) from None
    return f"{_address(parts)}/{parts.get('db', 0)}"


def server_of_broker(broker_url: str) -> str:
    """The URL, as redis-py reads it, of the server that kombu finds first behind one of its own.

    Raises ConfigurationError where that is no matter of the URL alone.
    """
    scheme, _, rest = broker_url.partition(";")[0].partition("://")
    if scheme not in _SCHEMES:
        raise ConfigurationError(
            f"a broker behind {scheme}:// can't be the cache server as well; set cache_servers to URLs of "
            "Redis or Valkey servers"
        )
    for kombus, redis_pys in _OPTIONS.items():
        rest = rest.replace(kombus, redis_pys)
    return f"{_SCHEMES[scheme]}://{rest}"


def _parts(url: str) -> dict[str, Any]:
    parts: dict[str, Any] = dict(parse_url(url.replace("+cluster", "", 1)))  # type: ignore[no-untyped-call]
    return parts


def _address(parts: dict[str, Any]) -> str:
    return str(parts.get("path") or f"{parts.get('host', 'localhost')}:{parts.get('port', 6379)}")
