"""Whose death is counted: of tasks which ran on a node when it died, never of those that waited there."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.cluster import LEASE_MS, Cluster
from tests.support.replies import texts
from tests.support.servers import Server


@pytest.fixture
def cluster(server: Server) -> Cluster:
    return Cluster.on(server)


def message(name: str, eta: str | None = None) -> str:
    """A message as Celery writes one, its body in front."""
    return json.dumps({"body": "e30=", "headers": {"task": name, "eta": eta}, "properties": {}})


def in_an_hour() -> str:
    return (datetime.now(UTC) + timedelta(hours=1)).isoformat()


def deaths(cluster: Cluster, name: str, want: int = 50) -> dict[str, int]:
    """What a fresh node gets, and how many deaths are counted against it."""
    cluster.join(name, limit=want)
    claimed = cluster.state.claim(name, cluster.epochs[name], want, ["q"], [["q"]])
    return {json.loads(claim.message)["headers"]["task"]: claim.deaths for claim in claimed.claims}


def die(cluster: Cluster, name: str) -> None:
    cluster.expire(name)
    assert not cluster.state.reap(name, 5).alive


def test_what_waits_for_its_time_is_innocent(cluster: Cluster) -> None:
    """Broken if every retry that waits on a node is given up after five kills of its nodes."""
    cluster.join("a", limit=9)
    for name, eta in [("retry", in_an_hour()), ("due", "2020-01-01T00:00:00+00:00"), ("now", None)]:
        cluster.state.client.lpush("q", message(name, eta))
    cluster.claim("a", 9)
    die(cluster, "a")
    assert deaths(cluster, "b") == {"retry": 0, "due": 1, "now": 1}


def test_versions_that_know_no_doubts_count_none(cluster: Cluster) -> None:
    """Broken if the first versions, which count line feeds, give up innocents during an upgrade."""
    cluster.join("a", limit=9)
    for name in ("waits", "returns"):
        cluster.state.client.lpush("q", message(name))
    receipts = [receipt for receipt, _ in cluster.claim("a", 9)]
    assert cluster.state.release("a", cluster.epochs["a"], [(receipts[1], "")]) == 1
    cluster.state.renew("a", cluster.epochs["a"], LEASE_MS, ["q"], {"running": "", "known": receipts[1]})
    die(cluster, "a")
    kept = texts(cluster.state.client.hvals(cluster.state.keys.deaths))
    assert len(kept) == 2
    assert "\n" not in "".join(kept)
    assert deaths(cluster, "b") == {"waits": 0, "returns": 0}


def test_what_had_not_started_at_the_last_heartbeat_is_no_death(cluster: Cluster) -> None:
    """Broken if tasks that only waited behind a slot are given up together with the one that killed."""
    cluster.join("a", limit=9)
    for name in ("runs", "waits"):
        cluster.state.client.lpush("q", message(name))
    receipts = [receipt for receipt, _ in cluster.claim("a", 9)]
    said = {"running": receipts[0], "known": receipts[1]}
    cluster.state.renew("a", cluster.epochs["a"], LEASE_MS, ["q"], said)
    cluster.state.client.lpush("q", message("fresh"))
    cluster.claim("a", 9)
    die(cluster, "a")
    assert deaths(cluster, "b") == {"runs": 1, "waits": 0, "fresh": 1}


def test_one_that_always_kills_before_the_next_heartbeat_is_given_up_all_the_same(cluster: Cluster) -> None:
    """Broken if a task that starts late and kills at once goes on for ever, because no node could tell."""
    cluster.state.client.lpush("q", message("quick"))
    for number in range(40):
        name = f"n{number}"
        cluster.join(name, limit=9)
        if not (held := cluster.claim(name, 9)):
            break
        said = {"running": "", "known": held[0][0]}
        cluster.state.renew(name, cluster.epochs[name], LEASE_MS, ["q"], said)
        die(cluster, name)
    assert cluster.state.dead_count() == 1


def test_suspects_are_delivered_one_to_a_node(cluster: Cluster) -> None:
    """Broken if those that died together twice die together five times."""
    client = cluster.state.client
    for name in ("one", "two", "three"):
        client.lpush("q", message(name))
    for name in ("a", "b"):
        cluster.join(name, limit=9)
        assert len(cluster.claim(name, 9)) == 3
        die(cluster, name)
    for name in ("x", "y"):
        client.lpush("q", message(name))
    assert deaths(cluster, "c") == {"one": 2, "x": 0, "y": 0}
    assert deaths(cluster, "c") == {}
    assert deaths(cluster, "d") == {"two": 2}
    assert deaths(cluster, "e") == {"three": 2}


def test_a_suspect_that_runs_on_and_on_holds_up_no_other(cluster: Cluster) -> None:
    """Broken if a long task that two nodes died with keeps all others like it from the only node."""
    for name in ("one", "two"):
        cluster.state.client.lpush("q", message(name))
    for name in ("a", "b"):
        cluster.join(name, limit=9)
        cluster.claim(name, 9)
        die(cluster, name)
    assert deaths(cluster, "c") == {"one": 2}
    cleared: Any = cluster.state.client.hget(cluster.state.keys.node("c"), "cleared at")
    assert 8_000 < int(cleared) - cluster.state.now_ms() <= 10_000
    cluster.state.client.hset(cluster.state.keys.node("c"), "cleared at", 1)
    assert deaths(cluster, "c") == {"two": 2}
