"""Two hundred nodes and two hundred queues: what a refresh costs. ``pytest -s`` shows the figures."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from redis import Redis
from redis.client import Pipeline

from switchyard.cluster.depths import survey
from switchyard.cluster.runner import ScriptRunner
from switchyard.flower.documents import Documents
from switchyard.flower.history import POINTS, STEP, History
from switchyard.models import Load, Node
from tests.support.app import make_app
from tests.support.cluster import Cluster
from tests.support.dashboard import Site, dashboard
from tests.support.servers import Server

#: Nodes and queues, tasks that wait on a queue, that a node has, names that it has measured.
MANY, WAITING, EACH, MEASURED = 200, 10, 8, 20
#: What a refresh may cost: seconds of the server, and bytes.
SECONDS, BYTES = 0.2, 1_000_000


def queues_of(node: int) -> list[str]:
    return [f"queue-with-a-long-name-{(node + i) % MANY:03d}" for i in range(5)]


def message(text: str) -> str:
    """As kombu writes it, with a body of about a kilobyte."""
    return json.dumps(
        {"body": text * 200, "headers": {"task": "t"}, "properties": {"timestamp": time.time()}}
    )


@pytest.fixture
def site(clean_valkey: Server) -> Iterator[Site]:
    """Everybody has joined and has work."""
    cluster = Cluster.on(clean_valkey)
    for number in range(MANY):
        runtimes = {f"project.tasks.task_number_{i}": 0.1 + number / MANY + i for i in range(MEASURED)}
        queues = queues_of(number)
        settled = dict.fromkeys(queues, 100_000 + number)
        load = Load(
            cpu=71.3, memory=55.5, load1=12.25, active=8, done=123_456, runtimes=runtimes, settled=settled
        )
        cluster.join(f"node-{number:03d}.example.com", limit=EACH, load=load, queues=queues)
        name = f"node-{number:03d}.example.com"
        for _ in range(EACH):
            cluster.place(message("node"), name, queue=queues[0])
        cluster.claim(name, EACH // 2)
        cluster.state.client.lpush(queues[0], *(message("wait") for _ in range(WAITING)))
    app = make_app(clean_valkey.url())
    with dashboard(app) as site:
        yield site
    app.close()


def best_of(times: int, act: Callable[[], object]) -> float:
    """The shortest time in seconds: what else this machine does is not ours."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        act()
        taken.append(time.perf_counter() - began)
    return min(taken)


@pytest.mark.timing
def test_a_refresh_of_a_big_cluster_is_quick_and_small(
    site: Site, clean_valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dashboard of a big cluster would crawl, or be itself what keeps the server busy."""
    answer = site.get("/api/cluster")
    document = answer.json
    assert (len(document["nodes"]), len(document["queues"])) == (MANY, MANY)
    cards = document["cards"]
    assert (cards["placed"], cards["claimed"], cards["waiting"]) == (MANY * 4, MANY * 4, MANY * WAITING)
    state = Cluster.on(clean_valkey).state
    trips = count_trips(monkeypatch)
    survey(state)
    in_one_look = trips.count(threading.get_ident())
    refresh = best_of(5, lambda: site.get("/api/cluster"))
    scrape = best_of(5, lambda: site.get("/metrics"))
    look = best_of(5, lambda: survey(state))
    print(f"\n{MANY} nodes and queues: {refresh * 1e3:.0f} ms and {len(answer.body) / 1e3:.0f} kB a refresh,")
    print(f"{scrape * 1e3:.0f} ms a scrape, {look * 1e3:.0f} ms in {in_one_look} round trips a look")
    assert refresh < SECONDS
    assert scrape < SECONDS
    assert look < 1
    assert in_one_look <= 8


def count_trips(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The thread each time that a command or a pipeline is sent."""
    trips: list[int] = []
    for owner, name in ((ScriptRunner, "send"), (Redis, "execute_command"), (Pipeline, "execute")):
        real = getattr(owner, name)

        def counted(*args: object, _real: Any = real, **kwargs: object) -> object:
            trips.append(threading.get_ident())
            return _real(*args, **kwargs)

        monkeypatch.setattr(owner, name, counted)
    return trips


def test_a_full_history_fits_as_well(site: Site) -> None:
    """After 15 minutes the document would have outgrown what it was when somebody measured it."""
    snapshot = site.application.sampler.snapshot
    history = History()
    for point in range(POINTS + 1):
        nodes = [grown(node, point) for node in snapshot.nodes]
        queues = [replace(queue, waiting=1000 + 31 * point) for queue in snapshot.queues]
        rates = history.add(nodes, queues, point * STEP)
    full = replace(snapshot, rates=rates, node_trends=history.nodes(), queue_trends=history.queues())
    size = len(json.dumps(Documents(full, 0.5).cluster(read_only=False), separators=(",", ":")))
    print(f"\na full history: {size / 1e3:.0f} kB")
    assert None not in full.node_trends[full.nodes[0].name].cpu
    assert size < BYTES


def grown(node: Node, point: int) -> Node:
    """The node some steps later."""
    settled = {queue: count + 77 * point for queue, count in node.load.settled.items()}
    return replace(node, claims=point % 9, load=replace(node.load, cpu=50 + point / 3, settled=settled))
