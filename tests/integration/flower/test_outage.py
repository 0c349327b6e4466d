"""Redis is gone: the dashboard says so, ages go on, and all of it comes back by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery

from tests.support.app import make_app
from tests.support.cluster import Cluster
from tests.support.dashboard import Site, dashboard, dashboard_process, hold_redis
from tests.support.servers import Server, free_port, redis_server
from tests.support.waiting import wait_until


@pytest.fixture
def app(clean_valkey: Server) -> Iterator[Celery]:
    app = make_app(clean_valkey.url())
    yield app
    app.close()


def test_ages_go_on_while_the_server_is_silent(app: Celery, clean_valkey: Server) -> None:
    """A page would show a cluster that looks alive while nobody can see it."""
    Cluster.on(clean_valkey).join("a")
    with dashboard(app) as site:
        with hold_redis(clean_valkey, site):
            first = site.get("/api/cluster").json
            assert first["look"]["error"]
            assert [node["state"] for node in first["nodes"]] == ["up"]

            def older() -> bool:
                now = site.get("/api/cluster").json
                return bool(
                    now["look"]["age"] > first["look"]["age"]
                    and now["nodes"][0]["lease_age"] > first["nodes"][0]["lease_age"]
                    and now["events"][0]["age"] > first["events"][0]["age"]
                )

            wait_until(older, "ages go on", timeout=5)
            assert site.post("/api/nodes/a/drain").status == 503
            assert site.get("/api/dead/1").status == 503
        wait_until(lambda: not site.get("/api/cluster").json["look"]["error"], "it sees again", timeout=10)
        assert site.get("/api/cluster").json["look"]["age"] < first["look"]["age"]


def test_a_dashboard_may_be_started_before_its_server(tmp_path: Path) -> None:
    """After a power cut the order in which machines come back would decide whether there is a dashboard."""
    absent = Server("redis", free_port())
    with dashboard_process(absent, tmp_path / "dashboard.log") as site:
        wait_until(lambda: site.get("/api/cluster").json["look"]["error"], "it says what is wrong")
        assert site.get("/api/cluster").json["look"]["at"] is None
        assert "switchyard_up 0.0" in site.get("/metrics").text
        assert site.post("/api/nodes/a/drain").status == 503
        with redis_server(absent.port, []) as server:
            Cluster.on(server).join("a")
            wait_until(lambda: names(site) == ["a"], "it sees the cluster", timeout=20)
            assert site.get("/api/cluster").json["look"]["error"] is None
            assert site.post("/api/nodes/a/drain").status == 200
        wait_until(lambda: site.get("/api/cluster").json["look"]["error"], "it notices")
        with redis_server(absent.port, []) as server:
            Cluster.on(server).join("b")
            wait_until(lambda: names(site) == ["b"], "it sees what is there now", timeout=20)


def names(site: Site) -> list[str]:
    return [node["name"] for node in site.get("/api/nodes").json["nodes"]]


def test_garbage_in_redis_does_not_end_the_looking(app: Celery, clean_valkey: Server) -> None:
    """One broken value would freeze the dashboard until somebody restarts it, or hide all nodes but one."""
    cluster = Cluster.on(clean_valkey)
    cluster.join("a")
    cluster.join("b")
    client, keys = cluster.state.client, cluster.state.keys
    with dashboard(app) as site:

        def shown() -> list[str]:
            return [node["name"] for node in site.get("/api/cluster").json["nodes"]]

        wait_until(lambda: shown() == ["a", "b"], "both nodes are there")
        client.hset(keys.node("a"), "load", "{not json")
        wait_until(lambda: shown() == ["b"], "what can't be read is left out")
        client.rename(keys.queues, "away")
        client.set(keys.queues, "no set")
        wait_until(lambda: site.get("/api/cluster").json["look"]["error"], "it says that something is wrong")
        client.rename("away", keys.queues)
        client.hset(keys.node("a"), "load", "{}")
        wait_until(lambda: not site.get("/api/cluster").json["look"]["error"], "it goes on")
        wait_until(lambda: shown() == ["a", "b"], "both nodes are there again")
