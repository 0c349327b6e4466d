"""The cluster for Prometheus, beside Flower's own metrics. A scrape reads the last look: no I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from flower.views import monitor
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from switchyard.flower.documents import Documents
from switchyard.flower.security import GuardedData
from switchyard.flower.snapshot import Snapshot
from switchyard.models import Node, NodeState
from switchyard.node_figures import GAUGES, Cell

#: Gauges of a node that is not lost: name, text, figure.
_OF_A_NODE: tuple[tuple[str, str, Callable[[Node], float]], ...] = (
    ("node_slots", "Tasks that the node can run at a time", lambda node: node.slots),
    ("node_busy_slots", "Slots with a claimed task", lambda node: node.busy),
    ("node_outstanding", "Tasks placed on the node or held by it", lambda node: node.outstanding),
    ("node_cpu_percent", "CPU of the node's machine", lambda node: node.load.cpu),
    ("node_memory_percent", "Memory of the node's machine", lambda node: node.load.memory),
    (
        "lease_renewal_seconds",
        "How long the node's last measured lease renewal took",
        lambda node: node.load.renewal,
    ),
)

#: What the processes of a node count of cached calls and caches.
_CACHE: tuple[tuple[Cell, str, str], ...] = (
    (Cell.NEAR_HITS, "near_cache_hits", "Look-ups that the node's own memory answered"),
    (Cell.NEAR_MISSES, "near_cache_misses", "Look-ups that went to the cache servers"),
    (Cell.NEAR_DROPPED, "near_cache_dropped", "Values forgotten because they changed"),
    (Cell.FOUND, "cache_found", "Look-ups that the cache servers answered"),
    (Cell.ANSWERED, "cached_calls_answered", "Calls answered without publishing"),
    (Cell.JOINED, "cached_calls_joined", "Calls that share a task under way"),
    (Cell.PUBLISHED, "cached_calls_published", "Calls that published a task"),
    (Cell.ERRORS, "cache_errors", "Tries at a cache server that failed"),
    (Cell.REPAIRS, "cache_repairs", "Values written again to a cache server that lacked them"),
    (Cell.NEAR_ENTRIES, "near_cache_entries", "Values in the node's own memory"),
    (Cell.NEAR_BYTES, "near_cache_bytes", "Bytes of values in the node's own memory"),
)


class Metrics(GuardedData, monitor.Metrics):
    """Flower's /metrics, behind the login."""


class Healthcheck(GuardedData, monitor.Healthcheck):
    """Flower's /healthcheck, behind the login."""


class ClusterCollector(Collector):
    """What the last look saw, as metrics."""

    def __init__(self, documents: Callable[[], Documents]) -> None:
        self._documents = documents

    def describe(self) -> Iterable[Metric]:
        """Nothing: the registry would have to look to find out."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Every metric; those of the cluster once there was a look."""
        documents = self._documents()
        snapshot, age = documents.snapshot, documents.age
        up = snapshot.error is None and age is not None
        yield GaugeMetricFamily("switchyard_up", "1 if the last look at the cluster succeeded", int(up))
        if age is None:
            return
        text = "Seconds since the last look that succeeded"
        yield GaugeMetricFamily("switchyard_look_age_seconds", text, age)
        yield from _nodes(snapshot, age)
        yield from _queues(snapshot, age)
        yield _placements(snapshot)
        yield from _accidents(snapshot)
        yield from cache_families(snapshot.nodes)


def _nodes(snapshot: Snapshot, age: float) -> Iterator[Metric]:
    states = Counter(node.state for node in snapshot.nodes)
    by_state = {str(state): states[state] for state in NodeState}
    yield _gauges("nodes", "Nodes by state; lost ones for an hour", "state", by_state)
    alive = [node for node in snapshot.nodes if node.state is not NodeState.LOST]
    for name, text, figure in _OF_A_NODE:
        yield _gauges(name, text, "node", {node.name: figure(node) for node in alive})
    ages = {node.name: node.lease_age + age for node in snapshot.nodes}
    yield _gauges("lease_age_seconds", "Seconds since the node's last heartbeat", "node", ages)
    settled = _counter("settled", "Tasks done for good since the node's process started", "node", "queue")
    for node in alive:
        for queue, count in node.load.settled.items():
            settled.add_metric((node.name, queue), count)
    yield settled


def _queues(snapshot: Snapshot, age: float) -> Iterator[Metric]:
    text = "Tasks of the queue: waiting, placed on a node, claimed by a node"
    depth = GaugeMetricFamily("switchyard_queue_tasks", text, labels=("queue", "state"))
    for queue in snapshot.queues:
        depth.add_metric((queue.name, "waiting"), queue.waiting)
        depth.add_metric((queue.name, "placed"), queue.placed)
        depth.add_metric((queue.name, "claimed"), queue.claimed)
    yield depth
    ages = {queue.name: queue.oldest_age + age for queue in snapshot.queues if queue.oldest_age is not None}
    text = "Seconds since the queue's oldest task was published"
    yield _gauges("queue_oldest_age_seconds", text, "queue", ages)
    stranded = {queue.name: sum(queue.stranded.values()) for queue in snapshot.queues}
    yield _gauges("queue_stranded_tasks", "Waiting tasks that no node which is up may run", "queue", stranded)


def _placements(snapshot: Snapshot) -> Metric:
    text = "Tasks by strategy: placed on a node, or overflowed to their queue"
    placements = _counter("placements", text, "strategy", "outcome", "node")
    for node, strategies in snapshot.placements.items():
        for strategy, count in strategies.items():
            placements.add_metric((strategy, "placed", node), count)
    for strategy, count in snapshot.counters.overflowed.items():
        placements.add_metric((strategy, "overflowed", ""), count)
    return placements


def _accidents(snapshot: Snapshot) -> Iterator[Metric]:
    for name, text, count in (
        ("restored_tasks", "Tasks of lost nodes that went back to their queues", snapshot.counters.restored),
        ("given_up_tasks", "Tasks that were given up on", snapshot.counters.given_up),
        (
            "possible_duplicates",
            "Tasks that a fenced node finished and that may have run twice",
            snapshot.counters.possible_duplicates,
        ),
    ):
        yield CounterMetricFamily(f"switchyard_{name}", text, count)
    text = "Tasks given up on that were neither requeued nor discarded"
    yield GaugeMetricFamily("switchyard_dead_tasks", text, snapshot.dead_count)


def cache_families(nodes: Sequence[Node]) -> Iterator[Metric]:
    """The nodes' cache figures, labelled by node."""
    for cell, name, text in _CACHE:
        figures = {node.name: node.load.cache.get(cell.name.lower(), 0) for node in nodes}
        if cell in GAUGES:
            yield _gauges(name, text, "node", figures)
        else:
            family = _counter(name, text, "node")
            for node, count in figures.items():
                family.add_metric((node,), count)
            yield family


def _counter(name: str, text: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"switchyard_{name}", text, labels=labels)


def _gauges(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"switchyard_{name}", text, labels=(label,))
    for key, value in values.items():
        family.add_metric((key,), value)
    return family
