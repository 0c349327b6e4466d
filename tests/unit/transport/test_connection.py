"""Which server a connection leads to."""

from __future__ import annotations

from switchyard.transport.connection import Connection

SENTINELS = "sentinel://a:1;sentinel://b:2"


def test_a_server_is_named_without_credentials_and_changes_with_a_failover() -> None:
    """Broken if a password gets into a log, or a node does not see that its consumer went elsewhere."""
    connection = Connection("redis://:secret@a:1/0;redis://b:2/3")
    assert "a:1/0" in connection.server
    assert "secret" not in connection.server
    connection.maybe_switch_next()
    assert "b:2/3" in connection.server


def test_all_sentinels_of_a_url_are_one_server() -> None:
    """Broken if a node leaves the cluster and joins it again because one sentinel is away."""
    connection = Connection(SENTINELS, transport_options={"master_name": "m"})
    before = connection.server
    connection.maybe_switch_next()
    assert connection.server == before


def test_what_is_beside_a_connection_stays_on_its_server() -> None:
    """Broken if a node's lease fails over while its consumer does not, or loses what finds the primary."""
    connection = Connection("redis://a:1/0;redis://b:2/3", transport_options={"global_keyprefix": "p"})
    connection.maybe_switch_next()
    beside = connection.beside(socket_timeout=1.0)
    assert beside.server == connection.server
    beside.maybe_switch_next()
    assert beside.server == connection.server
    assert beside.transport_options == {"global_keyprefix": "p", "socket_timeout": 1.0}
    assert Connection(SENTINELS).beside().alt == ["sentinel://a:1", "sentinel://b:2"]
