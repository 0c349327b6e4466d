"""Names of cache servers: where they are, without credentials."""

from __future__ import annotations

from redis.connection import UnixDomainSocketConnection, parse_url

from switchyard.errors import ConfigurationError


def is_cluster(url: str) -> bool:
    """Whether a URL leads to a Redis Cluster: ``redis+cluster://`` or ``rediss+cluster://``."""
    return url.partition(":")[0].endswith("+cluster")


def server_name(url: str) -> str:
    """Such as ``10.0.0.7:6379/0`` or ``/run/valkey.sock/0``. Raises ConfigurationError.

    The name is the server's place on the ring: a new password does not move keys.
    """
    try:
        parts = parse_url(url.replace("+cluster", "", 1))  # type: ignore[no-untyped-call]
    except ValueError as exc:
        # What the parser took for a host or a port may be a piece of the password.
        why = "are there characters to percent-encode before the @?" if "@" in url else str(exc)
        raise ConfigurationError(
            f"{url.rpartition('@')[2]!r} is no URL of a cache server: {why}; "
            "write redis://, rediss://, unix:// or, alone, redis+cluster://"
        ) from None
    database = parts.get("db", 0)
    if parts.get("connection_class") is UnixDomainSocketConnection:
        return f"{parts['path']}/{database}"
    return f"{parts.get('host', 'localhost')}:{parts.get('port', 6379)}/{database}"
