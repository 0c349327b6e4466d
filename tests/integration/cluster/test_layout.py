"""Two versions never read each other's state wrongly."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import switchyard
from switchyard.cluster import layout as layouts
from switchyard.cluster.layout import LAYOUT
from switchyard_workers.commands.findings import Level, layout
from tests.support.cluster import Cluster
from tests.support.nodes import worker
from tests.support.servers import Server
from tests.support.waiting import wait_until


@pytest.fixture
def cluster(server: Server) -> Cluster:
    return Cluster.on(server)


def written(cluster: Cluster) -> object:
    """The number in Redis, as bytes; None if there is none."""
    return cluster.state.client.get(cluster.state.keys.layout)


def test_the_first_registration_writes_the_number(cluster: Cluster) -> None:
    """Broken if a later version had nothing to compare with."""
    cluster.place("m1")
    assert written(cluster) is None
    assert cluster.join("a") == "new"
    assert written(cluster) == str(LAYOUT).encode()
    assert cluster.join("b") == "new"
    assert layout(cluster.state).level is Level.OK


def test_state_without_a_number_is_of_layout_1(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken if a cluster of the first versions were taken for a new one, or refused by the next."""
    cluster.join("a")
    cluster.state.client.delete(cluster.state.keys.layout)
    monkeypatch.setattr(layouts, "LAYOUT", 2)
    with pytest.raises(switchyard.OtherLayout):
        cluster.join("b")
    assert written(cluster) == b"1"
    monkeypatch.undo()
    assert cluster.join("b") == "new"


@pytest.mark.parametrize(
    ("found", "says", "mend"),
    [
        ("2", "newer layout 2", "install the version"),
        ("x", "newer layout x", "install the version"),
        ("0", "older layout 0", "let the nodes of the older version finish"),
    ],
)
def test_another_layout_is_refused_and_changes_nothing(
    cluster: Cluster, found: str, says: str, mend: str
) -> None:
    """Broken if a node wrote into state that it cannot read, or did not say what to do."""
    cluster.state.client.set(cluster.state.keys.layout, found)
    with pytest.raises(switchyard.OtherLayout, match=f"{says}.*; .*{mend}"):
        cluster.join("a")
    assert cluster.state.client.keys("*") == [cluster.state.keys.layout.encode()]
    finding = layout(cluster.state)
    assert (finding.level, says in finding.finding, mend in finding.mend) == (Level.PROBLEM, True, True)


def test_a_new_cluster_gets_the_layout_of_the_node_that_makes_it(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken if the next version could not start where no node ever was."""
    cluster.place("m1")
    monkeypatch.setattr(layouts, "LAYOUT", 2)
    assert cluster.join("a") == "new"
    assert written(cluster) == b"2"


def test_a_worker_refuses_in_one_line(clean_valkey: Server, tmp_path: Path) -> None:
    """Broken if a worker of another version took tasks, or died of a traceback."""
    cluster = Cluster.on(clean_valkey)
    cluster.state.client.set(cluster.state.keys.layout, "7")
    with worker(clean_valkey, tmp_path, ready=False) as node:
        wait_until(lambda: node.process.poll() is not None, "the worker gives up", timeout=60)
        assert node.process.returncode == 1
    lines = [line for line in node.text().splitlines() if "layout" in line]
    assert len(lines) == 1, json.dumps(node.text())
    assert "newer layout 7" in lines[0]
