"""What was given up on can be looked at, requeued and thrown away."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.support.app import make_app
from tests.support.cluster import Cluster
from tests.support.nodes import ROOT
from tests.support.servers import Server


@pytest.fixture
def cluster(clean_valkey: Server) -> Cluster:
    """Two nodes died, one after the other, with the same task."""
    cluster = Cluster.on(clean_valkey)
    app = make_app(clean_valkey.url())
    app.tasks["add"].apply_async((1, 2), queue="q")
    app.close()
    for name in ("first", "second"):
        cluster.join(name)
        assert len(cluster.claim(name)) == 1
        cluster.expire(name)
        cluster.state.reap(name, 2)
    return cluster


def switchyard(server: Server, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "switchyard_workers.cli", "dead", *args, "--broker", server.url()]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=30, check=False)


def listed(server: Server) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(switchyard(server, "list", "--json").stdout)
    return found


def test_the_list_names_task_arguments_deaths_and_nodes(cluster: Cluster, clean_valkey: Server) -> None:
    """Nobody could tell at three in the morning which task kills the nodes."""
    [entry] = listed(clean_valkey)
    assert (entry["task"], entry["args"], entry["queue"]) == ("add", "(1, 2)", "q")
    assert (entry["deaths"], entry["nodes"]) == (2, ["first", "second"])
    table = switchyard(clean_valkey, "list").stdout
    assert all(word in table for word in ("add", "(1, 2)", "first, second"))


def test_requeue_puts_it_back_with_a_fresh_count(cluster: Cluster, clean_valkey: Server) -> None:
    """A mended task could not be run, or would be given up on at the first death."""
    [entry] = listed(clean_valkey)
    assert switchyard(clean_valkey, "requeue", entry["receipt"]).returncode == 0
    assert listed(clean_valkey) == []
    cluster.join("third")
    claimed = cluster.state.claim("third", cluster.epochs["third"], 1, ["q"], [["q"]])
    assert [claim.deaths for claim in claimed.claims] == [0]


def test_discard_throws_it_away(cluster: Cluster, clean_valkey: Server) -> None:
    """The list would only ever grow."""
    [entry] = listed(clean_valkey)
    assert switchyard(clean_valkey, "discard", entry["receipt"]).returncode == 0
    assert listed(clean_valkey) == []
    assert cluster.shared() == []


def test_an_unknown_receipt_is_refused(clean_valkey: Server) -> None:
    """A typo would look like success."""
    for how in ("requeue", "discard"):
        refused = switchyard(clean_valkey, how, "404")
        assert refused.returncode == 1
        assert "404" in refused.stderr
