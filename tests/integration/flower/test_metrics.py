"""What Prometheus gets, and that the Grafana dashboard and the documents name what is there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from switchyard.models import Load
from tests.support.app import make_app
from tests.support.cluster import LEASE_MS, Cluster
from tests.support.dashboard import Site, dashboard, hold_redis
from tests.support.nodes import ROOT
from tests.support.servers import Server

#: A sample's name and its labels' values, in the order of their names.
Samples = dict[tuple[str, ...], float]


@pytest.fixture
def cluster(clean_valkey: Server) -> Cluster:
    """A full node, one lost with two tasks that the first has now, one that a task was given up with."""
    cluster = Cluster.on(clean_valkey)
    load = Load(cpu=12.5, memory=40, settled={"q": 7}, renewal=0.002)
    cluster.join("a", limit=2, load=load)
    for task in ("one", "two", "three"):
        cluster.place(task, "a", strategy="round_robin")
    cluster.claim("a", 2, lists=())
    cluster.join("b")
    for task in ("four", "five"):
        cluster.place(task, "b", bounded=False)
    [(late, _), _] = cluster.claim("b", 2)
    cluster.expire("b")
    assert cluster.state.reap("b", max_deliveries=5).restored == 2
    cluster.claim("a", 2)
    assert cluster.state.settle("b", cluster.epochs["b"], [late]).possible_duplicates == 1
    cluster.join("c")
    cluster.place("six", "c", bounded=False)
    cluster.claim("c")
    cluster.expire("c")
    assert cluster.state.reap("c", max_deliveries=1).given_up == 1
    return cluster


@pytest.fixture
def site(cluster: Cluster, clean_valkey: Server) -> Iterator[Site]:
    app = make_app(clean_valkey.url())
    with dashboard(app) as site:
        yield site
    app.close()


def scraped(site: Site) -> Samples:
    families = text_string_to_metric_families(site.get("/metrics").text)
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_a_scrape_says_what_the_cluster_is_like(site: Site) -> None:
    """Alerts would be set on figures that mean something else."""
    found = scraped(site)
    expected = {
        ("switchyard_up",): 1,
        ("switchyard_nodes", "up"): 1,
        ("switchyard_nodes", "draining"): 0,
        ("switchyard_nodes", "lost"): 2,
        ("switchyard_node_slots", "a"): 2,
        ("switchyard_node_busy_slots", "a"): 2,
        ("switchyard_node_cpu_percent", "a"): 12.5,
        ("switchyard_node_memory_percent", "a"): 40,
        ("switchyard_lease_renewal_seconds", "a"): 0.002,
        ("switchyard_settled_total", "a", "q"): 7,
        ("switchyard_placements_total", "a", "placed", "round_robin"): 2,
        ("switchyard_placements_total", "", "overflowed", "round_robin"): 1,
        ("switchyard_restored_tasks_total",): 2,
        ("switchyard_possible_duplicates_total",): 1,
        ("switchyard_given_up_tasks_total",): 1,
        ("switchyard_dead_tasks",): 1,
    }
    assert {key: found.get(key) for key in expected} == expected
    assert 0 <= found["switchyard_lease_age_seconds", "a"] < LEASE_MS / 1000
    assert sum(found["switchyard_queue_tasks", "q", state] for state in ("waiting", "placed", "claimed")) == 5
    assert "flower_events_total" in site.get("/metrics").text


def test_a_scrape_does_no_io(site: Site, clean_valkey: Server) -> None:
    """A scrape would hang, or be a load, when the server is slow or gone; ages would stand still."""
    before = scraped(site)
    with hold_redis(clean_valkey, site):
        after = scraped(site)
    assert after["switchyard_up",] == 0
    assert after["switchyard_nodes", "up"] == before["switchyard_nodes", "up"]
    assert after["switchyard_look_age_seconds",] > before["switchyard_look_age_seconds",]
    assert after["switchyard_lease_age_seconds", "a"] > before["switchyard_lease_age_seconds", "a"]


def test_the_grafana_dashboard_asks_for_what_is_exported(site: Site) -> None:
    """A panel would say "no data", which looks like a quiet cluster."""
    panels = json.loads((ROOT / "configs" / "grafana-dashboard.json").read_text())["panels"]
    asked = {
        name
        for panel in panels
        for target in panel["targets"]
        for name in re.findall(r"switchyard_\w+", target["expr"])
    }
    # The oldest age needs a message that says when it was published; a cluster of tests has none.
    exported = {name for name, *_ in scraped(site)} | {"switchyard_queue_oldest_age_seconds"}
    assert asked <= exported
    assert len(panels) == len({panel["title"] for panel in panels}) == len({panel["id"] for panel in panels})


def test_the_document_names_every_metric(site: Site) -> None:
    """Nobody would know what a metric means."""
    page = Path(ROOT, "docs", "dashboard.md").read_text()
    documented = set(re.findall(r"`(switchyard_\w+)", page))
    exported = {name for name, *_ in scraped(site) if name.startswith("switchyard_")}
    assert documented == exported | {"switchyard_queue_oldest_age_seconds"}
