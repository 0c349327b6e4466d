"""``queues``: how many tasks wait where, and how old the oldest is."""

from __future__ import annotations

import json

from switchyard.models import Selector
from tests.support.cluster import Cluster
from tests.support.commands import read, run
from tests.support.servers import Server

GPU = Selector(labels=(("gpu", "h100"),))


def message(age: float, server: Server) -> str:
    """A message as kombu writes it, that many seconds old by the server's clock."""
    published = Cluster.on(server).state.now_ms() / 1000 - age
    return json.dumps({"body": "", "properties": {"timestamp": published}})


def test_queues_json_counts_tasks_wherever_they_are(server: Server) -> None:
    """A backlog would look smaller than it is, or a task that nobody may run would not be noticed."""
    cluster = Cluster.on(server)
    cluster.join("n1", limit=2)
    cluster.place(message(10, server), "n1")
    cluster.claim("n1")
    cluster.place(message(20, server), "n1")
    cluster.place(message(1, server), "n1")
    cluster.place("no message of kombu's", selector=GPU)
    server.client().lpush("q\x06\x163", message(500, server), message(5, server))
    (queue,) = read("queues", "--broker", server.url())
    assert (queue["name"], queue["waiting"], queue["placed"], queue["claimed"]) == ("q", 4, 1, 1)
    assert 500 <= queue["oldest_age"] < 560
    assert queue["stranded"] == {"gpu=h100": 1}


def test_the_oldest_task_may_be_one_that_a_node_holds(clean_valkey: Server) -> None:
    """A task that hangs on a node would not raise the age of its queue."""
    cluster = Cluster.on(clean_valkey)
    cluster.join("n1", limit=2)
    cluster.place(message(300, clean_valkey), "n1")
    cluster.claim("n1")
    (queue,) = read("queues", "--broker", clean_valkey.url())
    assert 300 <= queue["oldest_age"] < 360


def test_a_queue_without_tasks_has_no_age(clean_valkey: Server) -> None:
    """A queue that is served and empty would be missing, or seem to have an old task."""
    Cluster.on(clean_valkey).join("n1")
    empty = {"name": "q", "waiting": 0, "placed": 0, "claimed": 0, "oldest_age": None, "stranded": {}}
    assert read("queues", "--broker", clean_valkey.url()) == [empty]
    assert " q " in run("queues", "--broker", clean_valkey.url()).stdout
