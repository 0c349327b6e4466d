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


def bury(server: Server, task: str, queue: str, count: int, reason: str, age: float = 0.0) -> None:
    """Tasks that were given up on so long ago."""
    state = Cluster.on(server).state
    now = state.now_ms() - round(age * 1000)
    with server.client().pipeline(transaction=False) as pipe:
        for number in range(count):
            receipt = f"{queue}{number}"
            message = json.dumps({"headers": {"task": task, "id": receipt}})
            fields: dict[Any, Any] = {"home": queue, "message": message, "deaths": 5, "nodes": ""}
            pipe.hset(state.keys.dead_entry(receipt), mapping=fields | {"reason": reason, "at": now})
            pipe.zadd(state.keys.dead, {receipt: now})
        pipe.execute()


def test_a_long_list_says_how_long_it_is_and_goes_on(clean_valkey: Server) -> None:
    """Of 100,000 tasks 1,000 would be shown without a word, and the rest could not be reached."""
    bury(clean_valkey, "shop.bill", "mail", 1205, "unknown task")
    first = switchyard(clean_valkey, "list", "--json")
    assert len(json.loads(first.stdout)) == 1000
    assert "1000 shown of 1205 given up on; go on with --start 1000" in first.stderr
    rest = switchyard(clean_valkey, "list", "--start", "1000", "--json")
    assert (len(json.loads(rest.stdout)), rest.stderr) == (205, "")
    assert not {e["receipt"] for e in json.loads(first.stdout)} & {
        e["receipt"] for e in json.loads(rest.stdout)
    }
    assert "5 shown of 1205" in switchyard(clean_valkey, "list", "--limit", "5").stdout


def test_tasks_are_found_by_what_they_are_like(clean_valkey: Server) -> None:
    """Whoever mended one task would have to look for it among thousands of others."""
    bury(clean_valkey, "shop.bill", "mail", 3, "5 nodes died holding it", age=7200)
    bury(clean_valkey, "shop.ship", "post", 4, "Unknown task here")
    options = ("--task", "shop.*", "--queue", "mail", "--reason", "DIED", "--older", "1h", "--newer", "1d")
    assert len(json.loads(switchyard(clean_valkey, "list", "--json", *options).stdout)) == 3
    assert "None of 7 tasks is like that" in switchyard(clean_valkey, "list", "--queue", "x").stdout
    assert switchyard(clean_valkey, "list", "--older", "soon").returncode == 2


def test_many_are_requeued_or_discarded_at_once(clean_valkey: Server) -> None:
    """A deploy in the wrong order would leave thousands of tasks to be requeued one by one."""
    bury(clean_valkey, "shop.bill", "mail", 250, "x")
    bury(clean_valkey, "shop.ship", "post", 30, "x")
    client = clean_valkey.client()
    done = switchyard(clean_valkey, "requeue", "--task", "shop.bill")
    assert (done.returncode, done.stdout.strip()) == (0, "250 tasks are back on their queues.")
    assert (client.llen("mail"), client.llen("post")) == (250, 0)
    assert switchyard(clean_valkey, "discard", "--queue", "post").returncode == 1
    assert Cluster.on(clean_valkey).state.dead_count() == 30
    done = switchyard(clean_valkey, "discard", "post0", "post1")
    assert done.stdout.split("\n")[:2] == ["post0 is gone.", "post1 is gone."]
    assert switchyard(clean_valkey, "discard", "--all", "--yes").stdout.strip() == "28 tasks are gone."
    assert Cluster.on(clean_valkey).state.dead_count() == client.llen("post") == 0
    for wrong in ((), ("--all", "7"), ("--all", "--queue", "mail")):
        assert switchyard(clean_valkey, "requeue", *wrong).returncode == 2
