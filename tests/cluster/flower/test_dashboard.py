"""The dashboard as a process beside real workers: what they say of themselves arrives."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.app import make_app
from tests.support.dashboard import Site, dashboard_process
from tests.support.nodes import worker
from tests.support.servers import Server
from tests.support.waiting import wait_until

LEASE = 2.0


@pytest.mark.timing
def test_a_killed_node_is_shown_lost_and_its_tasks_restored(clean_valkey: Server, tmp_path: Path) -> None:
    """Operators would learn of a dead machine from their users, or see no figures at all."""
    app = make_app(clean_valkey.url())
    with (
        dashboard_process(clean_valkey, tmp_path / "dashboard.log") as site,
        worker(clean_valkey, tmp_path, "stays", lease=LEASE),
        worker(clean_valkey, tmp_path, "dies", lease=LEASE) as doomed,
    ):
        for _ in range(40):
            app.tasks["nap"].delay(0.05)
        wait_until(lambda: figures_are_there(site), "both nodes have said what they did")
        for _ in range(8):
            app.tasks["nap"].delay(60)
        wait_until(lambda: row(site, "dies")["claims"] == 2, "the node is busy")
        doomed.kill()
        killed = time.monotonic()
        wait_until(lambda: row(site, "dies")["state"] == "lost", "the node is shown as lost")
        wait_until(lambda: site.get("/api/cluster").json["cards"]["restored_last_hour"] == 2, "and its tasks")
        assert time.monotonic() - killed < LEASE + 3
        kinds = [event["kind"] for event in site.get("/api/events?node=dies").json["events"]]
        assert kinds == ["restored", "lost", "up"]
        assert "switchyard_restored_tasks_total 2.0" in site.get("/metrics").text
    app.close()


def row(site: Site, name: str) -> dict[str, Any]:
    """A node as the list shows it."""
    nodes: list[dict[str, Any]] = site.get("/api/nodes").json["nodes"]
    return next((node for node in nodes if node["name"] == name), {"claims": 0, "state": ""})


def figures_are_there(site: Site) -> bool:
    """All that a node measures itself: settled tasks, run times, its heartbeat."""
    document = site.get("/api/cluster").json
    [queue] = document["queues"] or [{"out": 0}]
    nodes = document["nodes"]
    return (
        len(nodes) == 2
        and queue["out"] > 0
        and sum(node["load"]["done"] for node in nodes) == 40
        and all(node["load"]["renewal"] > 0 and node["speed"] and node["placements"] for node in nodes)
    )
