"""The metrics of nodes, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from switchyard.flower.metrics import cache_families
from switchyard.models import Load, Node


def test_prometheus_gets_every_nodes_figures() -> None:
    """Broken if dashboards show no hit rate, or one for all nodes together."""
    nodes = [Node("a", load=Load(cache={"near_hits": 3, "near_bytes": 9})), Node("b")]

    class Families(Collector):
        def collect(self) -> Iterator[Metric]:
            return cache_families(nodes)

    registry = CollectorRegistry()
    registry.register(Families())
    text = generate_latest(registry).decode()
    assert 'switchyard_near_cache_hits_total{node="a"} 3.0' in text
    assert 'switchyard_near_cache_hits_total{node="b"} 0.0' in text
    assert 'switchyard_near_cache_bytes{node="a"} 9.0' in text
