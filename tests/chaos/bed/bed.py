"""The test bed of one run: a server, nodes, producers, a folder; everything it starts it stops."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
from celery import Celery

from tests.chaos.bed.app import configured
from tests.chaos.bed.nodes import Node
from tests.chaos.evidence.ledger import Writer
from tests.chaos.evidence.verdict import Hit
from tests.chaos.machines import processes
from tests.chaos.machines.network import Link, Network, PartitionBy
from tests.chaos.machines.sentinel import Sentinels
from tests.chaos.machines.servers import Server
from tests.chaos.run.plan import Kind
from tests.support.waiting import wait_until

#: For nodes to start on a busy machine, in seconds.
STARTS = 60.0
#: For a process to end on SIGTERM, in seconds: longer than the longest task, and than the four attempts of a
#: publish after a failover, before each of which redis-py waits for some seconds.
_ENDS = 60.0


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line asked for. Times in seconds; the nodes take turns with the pools."""

    engine: str = "switchyard"
    nodes: int = 4
    slots: int = 2
    pools: tuple[str, ...] = ("prefork", "threads")
    options: tuple[str, ...] = ()
    producers: int = 2
    backlog: int = 60
    seed: int = 1
    lease: float = 2.0
    renew: float = 0.5
    partition_by: PartitionBy = PartitionBy.NOTHING
    appendfsync: str = "always"
    #: What the nodes are started with beside it all.
    environment: tuple[tuple[str, str], ...] = ()


@dataclass
class Bed:
    """Everything that faults can be done to, and the faults that were."""

    wishes: Wishes
    folder: Path
    server: Server | Sentinels
    client: redis.Redis
    network: Network | None = None
    nodes: list[Node] = field(default_factory=list)
    producers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    producer_links: list[Link] = field(default_factory=list)
    hits: list[Hit] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    skipped: list[Kind] = field(default_factory=list)
    orphans: int = 0
    _publishing: tuple[Writer, Celery] | None = None

    @property
    def ours(self) -> bool:
        """Whether Switchyard runs here."""
        return self.wishes.engine == "switchyard"

    def add_node(self) -> Node:
        """One more node, not started."""
        name = f"n{len(self.nodes)}"
        pool = self.wishes.pools[len(self.nodes) % len(self.wishes.pools)]
        slots = 1 if pool == "solo" else self.wishes.slots
        link = self.network.link(name, self.server.port) if self.network else None
        env = self._environment(link.url if link else self.server.url, name)
        node = Node(name, pool, slots, env, self.folder, self.wishes.options, link)
        self.nodes.append(node)
        return node

    def start_producer(self, number: int) -> subprocess.Popen[bytes]:
        """A process that keeps the cluster busy."""
        arguments = [f"p{number}", str(self.wishes.seed), str(self.wishes.backlog)]
        link = self._producer_link(number)
        env = self._environment(link.url if link else self.server.url, "")
        log = self.folder / f"p{number}.log"
        enter = link.enter if link else ()
        return processes.python("tests.chaos.bed.producer", arguments, env, log, enter)

    def _producer_link(self, number: int) -> Link | None:
        if self.network is not None and number == len(self.producer_links):
            self.producer_links.append(self.network.link(f"p{number}", self.server.port))
        return self.producer_links[number] if self.producer_links else None

    def app(self) -> Celery:
        """An application that publishes to this bed and runs nothing."""
        return configured(self.server.url, self.wishes.engine, self.server.transport_options)

    def publish(self, task: str, name: str, *args: float, **options: Any) -> None:
        """Publish one task, and note it in the ledger."""
        if self._publishing is None:
            self._publishing = Writer(self.folder / "publishes", "bed"), self.app()
        writer, app = self._publishing
        writer.write(task, "asked")
        app.send_task(name, args, task_id=task, **options)
        writer.write(task, "acked")

    def stop_publishing(self) -> None:
        """Close what :meth:`publish` opened."""
        if self._publishing is not None:
            self._publishing[1].close()

    def stop_producers(self) -> None:
        """Let them finish what they publish."""
        for producer in self.producers:
            producer.send_signal(signal.SIGTERM)
        for producer in self.producers:
            producer.wait(_ENDS)

    def stop_nodes(self) -> list[str]:
        """SIGTERM to every node; what did not end in time, or not with exit code 0."""
        for node in self.nodes:
            node.running.send_signal(signal.SIGTERM)
        return [complaint for node in self.nodes if (complaint := _ended(node))]

    def _environment(self, broker: str, node: str) -> dict[str, str]:
        mine = {
            "PYTHONPATH": str(processes.ROOT),
            "PYTHONWARNINGS": "ignore",
            "CHAOS_FOLDER": str(self.folder),
            "CHAOS_ENGINE": self.wishes.engine,
            "CHAOS_BROKER": broker,
            "CHAOS_TRANSPORT_OPTIONS": json.dumps(dict(self.server.transport_options)),
            "CHAOS_NODE": node,
        }
        if self.ours:
            mine["SWITCHYARD_LEASE"], mine["SWITCHYARD_RENEW"] = (
                str(self.wishes.lease),
                str(self.wishes.renew),
            )
        if self.ours and node:
            mine |= {"SWITCHYARD_NODE": node, "SWITCHYARD_LABELS": '{"chaos": "yes"}'}
        return {**os.environ, **mine, **dict(self.wishes.environment)}


@contextmanager
def made(
    wishes: Wishes, folder: Path, server: Server | Sentinels, network: Network | None = None
) -> Iterator[Bed]:
    """Start the server, the nodes and the producers; kill all that is left at the end."""
    for name in ("runs", "publishes"):
        (folder / name).mkdir(parents=True)
    bed = Bed(wishes, folder, server, server.client(), network)
    try:
        server.start()
        _fill(bed)
        yield bed
    finally:
        _clear(bed)


def _fill(bed: Bed) -> None:
    for _ in range(bed.wishes.nodes):
        bed.add_node().start()
    await_ready(bed, bed.nodes)
    bed.producers += [bed.start_producer(number) for number in range(bed.wishes.producers)]
    _await_load(bed)


def _await_load(bed: Bed) -> None:
    """Wait until every producer has begun: each notes what it publishes in a file of its own."""
    wait_until(
        lambda: len(list((bed.folder / "publishes").iterdir())) >= len(bed.producers),
        f"{len(bed.producers)} producers publish, see {bed.folder}",
        timeout=STARTS,
    )


def _clear(bed: Bed) -> None:
    for node in bed.nodes:
        node.stop()
    for producer in bed.producers:
        processes.kill_group(producer)
    for link in bed.producer_links:
        link.close()
    bed.client.close()
    bed.server.close()
    bed.stop_publishing()


def await_ready(bed: Bed, nodes: Sequence[Node]) -> None:
    """Wait until all of these consume."""
    wait_until(
        lambda: all(node.is_ready() for node in nodes),
        f"all of {[node.name for node in nodes]} are ready, see {bed.folder}",
        timeout=STARTS,
    )


def _ended(node: Node) -> str:
    try:
        code = node.running.wait(_ENDS)
    except subprocess.TimeoutExpired:
        node.cry()
        return f"{node.name} did not end within {_ENDS:g} s of SIGTERM, see {node.log}"
    return f"{node.name} ended with {code} on SIGTERM" if code else ""


def monotonic_offset() -> float:
    """What makes seconds of the wall clock seconds of CLOCK_MONOTONIC."""
    return time.monotonic() - time.time()
