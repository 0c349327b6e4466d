"""``nodes``: every node, as a table, as JSON, and again each second."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cluster import Cluster
from tests.support.commands import read, run
from tests.support.nodes import APP, ROOT, environment
from tests.support.servers import Server, free_port, kinds, redis_server
from tests.support.waiting import wait_until


def test_nodes_json_is_a_list_of_every_node(server: Server) -> None:
    """Programs that watch the cluster would break, or miss a node that is lost or drained."""
    cluster = Cluster.on(server)
    for name in ("a", "b", "c"):
        cluster.join(name, limit=2)
    cluster.place("one", "a")
    cluster.claim("a")
    cluster.place("two", "a")
    cluster.state.drain("b")
    cluster.expire("c")
    nodes = {node["name"]: node for node in read("nodes", "--broker", server.url())}
    assert {name: node["state"] for name, node in nodes.items()} == {"a": "up", "b": "draining", "c": "lost"}
    a = nodes["a"]
    assert (a["slots"], a["limit"], a["outstanding"], a["inbox"], a["claims"]) == (2, 2, 2, 1, 1)
    assert (a["queues"], a["labels"], a["load"]["active"]) == (["q"], {}, 0)
    assert 0 <= a["lease_age"] < 60
    assert {"hostname", "pid", "versions"} <= set(a)


def test_nodes_of_an_empty_cluster_is_an_empty_list(clean_valkey: Server) -> None:
    """A program would have to tell "no nodes" from "no JSON"."""
    assert read("nodes", "--broker", clean_valkey.url()) == []


@pytest.mark.parametrize("program", ["switchyard_workers.cli", "celery"])
def test_nodes_shows_a_table(clean_valkey: Server, program: str) -> None:
    """An operator would see nothing, or nothing with ``celery -A proj nodes``."""
    cluster = Cluster.on(clean_valkey)
    cluster.join("worker-with-a-long-name", limit=4)
    cluster.place("one", "worker-with-a-long-name")
    arguments = ("-A", APP, "nodes") if program == "celery" else ("nodes", "-A", APP)
    done = run(*arguments, program=program, env=environment(clean_valkey))
    assert done.returncode == 0, done.stderr
    assert all(text in done.stdout for text in ("worker-with-a-long-name", "up", "1/4", "1 of 1 up"))


def test_labels_are_shown_as_they_are(clean_valkey: Server) -> None:
    """A label that looks like markup would vanish from the table, or break it."""
    cluster = Cluster.on(clean_valkey)
    cluster.join("n1")
    cluster.state.client.hset(cluster.state.keys.node("n1"), "labels", json.dumps({"[red]": "[/]"}))
    assert "[red]=[/]" in run("nodes", "--broker", clean_valkey.url()).stdout


@pytest.mark.skipif("redis" not in kinds(), reason="needs a server that can be stopped and started again")
def test_watch_goes_on_through_an_outage(tmp_path: Path) -> None:
    """The one window that an operator has open would close at the moment when it is needed."""
    port, seen = free_port(), tmp_path / "seen"
    with redis_server(port, ()) as server:
        Cluster.on(server).join("before")
        watch = _watching(server, seen)
    try:
        wait_until(lambda: "does not answer" in seen.read_text(), "the outage is shown")
        with redis_server(port, ()) as server:
            Cluster.on(server).join("after")
            wait_until(lambda: "after" in seen.read_text(), "the nodes are shown again")
            watch.send_signal(signal.SIGINT)
            assert watch.wait(20) == 0
    finally:
        watch.kill()
        watch.wait()
    assert "Traceback" not in seen.read_text()


def _watching(server: Server, seen: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "switchyard_workers.cli", "nodes", "--watch", "--broker", server.url()]
    with seen.open("wb") as out:
        watch = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out, env=environment(server))
    wait_until(lambda: "before" in seen.read_text(), "the nodes are shown")
    return watch
