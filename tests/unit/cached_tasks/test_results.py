"""Where results of cached tasks go: the settings' servers, or the broker's own in redis-py's words."""

from __future__ import annotations

import pytest
from redis import Redis

from switchyard.cached_tasks.results import cache_servers
from switchyard.errors import ConfigurationError
from switchyard.settings import Settings


@pytest.mark.parametrize(
    ("broker", "server"),
    [
        ("redis://:pw@host:7000/3", "redis://:pw@host:7000/3"),
        ("redis://a/0;redis://b/0", "redis://a/0"),
        ("rediss://host/0?ssl_cert_reqs=CERT_NONE", "rediss://host/0?ssl_cert_reqs=none"),
        ("redis+socket:///run/valkey.sock?virtual_host=2", "unix:///run/valkey.sock?db=2"),
    ],
)
def test_the_brokers_own_server_is_the_default(broker: str, server: str) -> None:
    """The cache would silently be off with every broker URL that redis-py reads otherwise."""
    assert cache_servers(Settings(), broker) == (server,)
    Redis.from_url(server).close()


def test_settings_win() -> None:
    """A cache of its own would be ignored."""
    assert cache_servers(Settings(cache_servers=("redis://c/0",)), "redis://b/0") == ("redis://c/0",)


def test_sentinel_needs_servers_of_its_own() -> None:
    """A cache on the primary of the moment would lose its place at the next failover."""
    with pytest.raises(ConfigurationError, match="set cache_servers to URLs"):
        cache_servers(Settings(), "sentinel://a:26379;sentinel://b:26379")
