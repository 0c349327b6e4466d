"""Strangers in Redis: skipped by whoever meets them, named by check, in nobody's way."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from switchyard.cluster.depths import survey
from switchyard.models import Selector
from switchyard_workers.commands.findings import Level, strangers
from tests.support.app import make_app
from tests.support.cluster import LEASE_MS, Cluster
from tests.support.servers import Server

FIELDS = (
    "state",
    "slots",
    "limit",
    "queues",
    "labels",
    "load",
    "hostname",
    "pid",
    "versions",
    "lease",
    "idle",
)
JUNK = st.binary(max_size=6) | st.sampled_from(
    [b"asleep", b"2.5", b"[]", b"{}", b'{"cpu": "x"}', b"null", b'["q", 7]', b"{" * 3000, b"-1", b"1e999"]
)


@pytest.fixture
def cluster(server: Server) -> Cluster:
    return Cluster.on(server)


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("state", "asleep"),
        ("slots", "2.5"),
        ("limit", "plenty"),
        ("queues", '["q'),
        ("load", '{"cpu": "busy"}'),
        ("hostname", b"\xff"),
    ],
)
def test_producers_publish_beside_a_node_that_cannot_be_read(
    server: Server, cluster: Cluster, field: str, said: str | bytes
) -> None:
    """Broken if one strange node makes `apply_async` raise in every producer."""
    cluster.join("sound", queues=["celery"])
    cluster.join("odd", queues=["celery"])
    cluster.state.client.hset(cluster.state.keys.node("odd"), field, said)
    app = make_app(server.url())
    with app.connection_for_write() as connection:
        app.tasks["noop"].apply_async(connection=connection)
    assert cluster.outstanding("sound") == 1
    assert [node.name for node in cluster.state.snapshot()] == ["sound"]
    (found,) = strangers(cluster.state)
    assert (found.level, found.check) == (Level.PROBLEM, "strangers")
    assert "node odd can't be read and is skipped" in found.finding


def test_a_node_key_of_another_type_hides_no_node(cluster: Cluster) -> None:
    """Broken if a string where a hash should be, or a list where an inbox, ends every snapshot."""
    cluster.join("sound")
    for name in ("string", "boxed", "claimed"):
        cluster.state.client.zadd(cluster.state.keys.nodes, {name: cluster.state.now_ms() + LEASE_MS})
    cluster.state.client.set(cluster.state.keys.node("string"), "x")
    cluster.state.client.rpush(cluster.state.keys.inbox("boxed"), "x")
    cluster.state.client.sadd(cluster.state.keys.claims("claimed"), "x")
    assert [node.name for node in cluster.state.snapshot()] == ["sound"]
    assert len(list(strangers(cluster.state))) == 3
    assert cluster.place("m1", "sound") == "sound"
    assert cluster.state.size(["q"]) == 1
    assert [depth.name for depth in survey(cluster.state).queues] == ["q"]


def test_a_strange_dead_node_is_reaped(cluster: Cluster) -> None:
    """Broken if what a strange node held stays with it for ever."""
    cluster.join("odd", limit=5)
    cluster.place("m1", "odd")
    cluster.state.client.hset(cluster.state.keys.node("odd"), "queues", "{")
    cluster.expire("odd")
    assert cluster.state.reap("odd", 5).restored == 1
    assert cluster.shared() == ["m1"]


def test_check_names_each_kind_of_stranger_with_its_mend(cluster: Cluster) -> None:
    """Broken if an operator can't tell what is wrong, or check ends in a traceback."""
    client: Any = cluster.state.client
    keys = cluster.state.keys
    cluster.join("odd")
    client.hset(keys.node("odd"), "slots", "x")
    client.zadd(keys.waiting, {keys.wait("q", "gpu=h100"): 1, b"\xff": 2})
    client.zadd(keys.dead, {"7": 1})
    client.hset(keys.dead_entry("7"), "home", "q")
    client.xadd(keys.events, {"what": "?"})
    found = list(strangers(cluster.state))
    said = [" ".join(one.finding.split()[:2]) for one in found]
    assert said == ["node odd", "wait list", "wait list", "dead task", "event " + said[-1].split()[1]]
    assert all(one.mend for one in found)
    assert cluster.state.discard("7")
    assert cluster.state.dead_count() == 0


STRANGE: dict[str, Any] = {
    "fields": st.dictionaries(st.sampled_from(FIELDS), JUNK, max_size=3),
    "name": st.binary(min_size=1, max_size=4),
    "wait": JUNK,
    "entry": st.dictionaries(st.sampled_from(["home", "message", "deaths", "nodes", "reason", "at"]), JUNK),
    "event": st.dictionaries(st.sampled_from(["kind", "node", "count"]) | JUNK, JUNK, min_size=1),
    "member": JUNK,
}


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(**STRANGE)
@example(
    fields={"queues": b"{"}, name=b"\xff", wait=b"{}", entry={"home": b"q"}, event={"x": b"y"}, member=b"x"
)
def test_whatever_is_there_everybody_goes_on(
    cluster: Cluster,
    fields: dict[str, bytes],
    name: bytes,
    wait: bytes,
    entry: dict[str, bytes],
    event: dict[Any, bytes],
    member: bytes,
) -> None:
    """Broken if some stranger ends a producer's call, a heartbeat, a look of an operator or a check."""
    state, keys = cluster.state, cluster.state.keys
    client: Any = state.client
    client.flushdb()
    cluster.join("sound", limit=9)
    cluster.place("old", selector=Selector(node="sound"))
    client.zadd(keys.nodes, {name: state.now_ms() + LEASE_MS})
    client.hset(f"{keys.prefix}node:".encode() + name, mapping={"state": b"up", "epoch": b"1", **fields})
    client.zadd(f"{keys.prefix}inbox:".encode() + name, {member: 1})
    client.hset(f"{keys.prefix}claims:".encode() + name, member, member)
    client.zadd(keys.waiting, {wait: 1, keys.wait("q", "").encode() + wait: 2})
    client.rpush(keys.wait("q", "").encode() + wait, b"x")
    client.zadd(keys.dead, {member: 1})
    if entry:
        client.hset(f"{keys.prefix}dead:".encode() + member, mapping=entry)
    client.xadd(keys.events, event)
    client.hset(keys.counters, member, member)
    client.sadd(keys.queues, member)

    assert "sound" in [node.name for node in state.snapshot()]
    assert cluster.place("new", "sound") == "sound"
    assert not state.renew("sound", cluster.epochs["sound"], LEASE_MS, ["q"], {}).fenced
    assert cluster.claim("sound", 5) != []
    assert "q" in [depth.name for depth in survey(state).queues]
    assert state.size(["q"]) >= 0
    assert isinstance(state.counters().restored, int)
    assert [one.kind for one in state.events() if one.node == "sound"] == ["up"]
    state.dead_tasks(state.dead_receipts())
    state.placements([node.name for node in state.snapshot()])
    assert state.purge(["q"]) >= 0
    assert all(json.dumps(finding.finding) for finding in strangers(state))
