"""The cluster for Prometheus, beside Flower's own metrics. A scrape reads the last look: no I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from flower.views import monitor
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from scheduler.flower.documents import Documents, busy
from scheduler.flower.security import GuardedData
from scheduler.flower.snapshot import Snapshot
from scheduler.models import NodeState


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
        yield _gauge(
            "up",
            "1 if the last look at the cluster succeeded",
            int(documents.snapshot.error is None and documents.age is not None),
        )
        if documents.age is None:
            return
        yield _gauge("look_age_seconds", "Seconds since the last look that succeeded", documents.age)
        yield from _nodes(documents.snapshot, documents.age)
        yield from _queues(documents.snapshot, documents.age)
        yield from _counters(documents.snapshot)


def _nodes(snapshot: Snapshot, age: float) -> Iterator[Metric]:
    states = Counter(node.state for node in snapshot.nodes)
    yield _gauges(
        "nodes",
        "Nodes by state; lost ones for an hour",
        "state",
        {str(state): states[state] for state in NodeState},
    )
    nodes = [node for node in snapshot.nodes if node.state is not NodeState.LOST]
    yield _gauges(
        "node_slots", "Tasks that the node can run at a time", "node", {n.name: n.slots for n in nodes}
    )
    yield _gauges("node_busy_slots", "Slots with a claimed task", "node", {n.name: busy(n) for n in nodes})
    yield _gauges(
        "node_outstanding",
        "Tasks placed on the node or held by it",
        "node",
        {n.name: n.outstanding for n in snapshot.nodes},
    )
    yield _gauges(
        "node_cpu_percent", "CPU of the node's machine", "node", {n.name: n.load.cpu for n in nodes}
    )
    yield _gauges(
        "node_memory_percent", "Memory of the node's machine", "node", {n.name: n.load.memory for n in nodes}
    )
    yield _gauges(
        "lease_age_seconds",
        "Seconds since the node's last heartbeat",
        "node",
        {n.name: n.lease_age + age for n in nodes},
    )
    yield _gauges(
        "lease_renewal_seconds",
        "How long the node's last measured lease renewal took",
        "node",
        {n.name: n.load.renewal for n in nodes},
    )
    settled = CounterMetricFamily(
        "switchyard_settled", "Tasks done for good since the node's process started", labels=("node", "queue")
    )
    for node in nodes:
        for queue, count in node.load.settled.items():
            settled.add_metric((node.name, queue), count)
    yield settled


def _queues(snapshot: Snapshot, age: float) -> Iterator[Metric]:
    depth = GaugeMetricFamily(
        "switchyard_queue_tasks",
        "Tasks of the queue: waiting, placed on a node, claimed by a node",
        labels=("queue", "state"),
    )
    for queue in snapshot.queues:
        for state, count in (
            ("waiting", queue.waiting),
            ("placed", queue.placed),
            ("claimed", queue.claimed),
        ):
            depth.add_metric((queue.name, state), count)
    yield depth
    ages = {queue.name: queue.oldest_age + age for queue in snapshot.queues if queue.oldest_age is not None}
    yield _gauges(
        "queue_oldest_age_seconds", "Seconds since the queue's oldest task was published", "queue", ages
    )
    stranded = {queue.name: sum(queue.stranded.values()) for queue in snapshot.queues}
    yield _gauges("queue_stranded_tasks", "Waiting tasks that no node which is up may run", "queue", stranded)


def _counters(snapshot: Snapshot) -> Iterator[Metric]:
    placements = CounterMetricFamily(
        "switchyard_placements",
        "Tasks by strategy: placed on a node, or overflowed to their queue",
        labels=("strategy", "outcome", "node"),
    )
    for node, strategies in snapshot.placements.items():
        for strategy, count in strategies.items():
            placements.add_metric((strategy, "placed", node), count)
    for strategy, count in snapshot.counters.overflowed.items():
        placements.add_metric((strategy, "overflowed", ""), count)
    yield placements
    counters = snapshot.counters
    yield CounterMetricFamily(
        "switchyard_restored_tasks", "Tasks of lost nodes that went back to their queues", counters.restored
    )
    yield CounterMetricFamily(
        "switchyard_possible_duplicates",
        "Tasks that a fenced node finished and that may have run twice",
        counters.possible_duplicates,
    )
    yield CounterMetricFamily("switchyard_given_up_tasks", "Tasks that were given up on", counters.given_up)
    yield _gauge(
        "dead_tasks", "Tasks given up on that were neither requeued nor discarded", snapshot.dead_count
    )


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"switchyard_{name}", text, value)


def _gauges(name: str, text: str, label: str, values: dict[str, float] | dict[str, int]) -> Metric:
    family = GaugeMetricFamily(f"switchyard_{name}", text, labels=(label,))
    for key, value in values.items():
        family.add_metric((key,), value)
    return family
