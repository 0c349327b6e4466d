"""The dashboard's API: what ``openapi.json`` says of it holds, and it says what the cluster is like."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import resources
from typing import Any
from urllib.parse import quote

import pytest
from jsonschema import Draft202012Validator

import switchyard
from switchyard.flower import api
from switchyard.models import Selector
from tests.support.app import make_app
from tests.support.cluster import LEASE_MS, Cluster
from tests.support.dashboard import Answer, Site, dashboard
from tests.support.servers import Server
from tests.support.waiting import wait_until

OPENAPI: dict[str, Any] = json.loads((resources.files("switchyard") / "flower" / "openapi.json").read_text())
HOSTILE = """<script>alert("n/1")</script>&%s'é"""


@pytest.fixture
def cluster(clean_valkey: Server) -> Cluster:
    """One node with tasks, a drained one, a lost one, one with a hostile name; tasks given up on."""
    cluster = Cluster.on(clean_valkey)
    for name in ("busy", "drained", "lost", HOSTILE):
        cluster.join(name, limit=2)
    give_up(cluster, "poison 1")
    give_up(cluster, "poison 2")
    for task in ("claimed", "placed", "left"):
        cluster.place(task, "busy")
        cluster.claim("busy") if task == "claimed" else None
    cluster.place("for nobody", selector=Selector(labels=(("gpu", HOSTILE),)))
    cluster.state.drain("drained")
    cluster.expire("lost")
    cluster.state.reap("lost", 5)
    return cluster


@pytest.fixture
def site(cluster: Cluster, clean_valkey: Server) -> Iterator[Site]:
    app = make_app(clean_valkey.url())
    with dashboard(app) as site:
        yield site
    app.close()


def give_up(cluster: Cluster, message: str) -> None:
    """A task dies with a node, and is given up on at once."""
    cluster.join("victim")
    cluster.place(message, "victim")
    cluster.claim("victim")
    cluster.expire("victim")
    assert cluster.state.reap("victim", 1).given_up == 1
    cluster.state.client.zrem(cluster.state.keys.lost, "victim")


def validated(answer: Answer, path: str, method: str = "get") -> Any:
    """The document, after a check against what is documented for this status."""
    response = OPENAPI["paths"][path][method]["responses"][str(answer.status)]
    name = response.get("$ref", "").rpartition("/")[2]
    response = OPENAPI["components"]["responses"][name] if name else response
    schema = response["content"]["application/json"]["schema"]
    Draft202012Validator({**schema, "components": OPENAPI["components"]}).validate(answer.json)
    assert answer.headers["content-type"] == "application/json; charset=UTF-8"
    return answer.json


def test_the_dead_are_paged_and_filtered(
    site: Site, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of thousands the latest 200 would be listed, and the rest could be neither requeued nor discarded."""
    every = receipts(site)
    assert len(every) == 2
    assert validated(site.get("/api/dead"), "/api/dead")["following"] is None
    rest = validated(site.get("/api/dead?start=1"), "/api/dead")
    assert ([dead["receipt"] for dead in rest["dead"]], rest["count"]) == (every[1:], 2)
    for query, found in (("reason=DIED", 2), ("queue=q", 2), ("queue=other", 0), ("task=shop.*", 0)):
        assert len(validated(site.get(f"/api/dead?{query}"), "/api/dead")["dead"]) == found, query
    monkeypatch.setattr(api, "_DEAD_EXAMINED", 1)
    first = validated(site.get("/api/dead?queue=q"), "/api/dead")
    assert (len(first["dead"]), first["following"]) == (1, 1)
    validated(site.get("/api/dead?start=-1"), "/api/dead")


def receipts(site: Site) -> list[str]:
    return [dead["receipt"] for dead in site.get("/api/dead").json["dead"]]


def test_the_document_is_valid_and_names_each_of_our_routes() -> None:
    """A route would be undocumented, or documented and not there."""
    from jsonschema.validators import validator_for

    for schema in OPENAPI["components"]["schemas"].values():
        validator_for(schema, default=Draft202012Validator).check_schema(schema)
    documented = {
        (path.replace("{name}", "x").replace("{receipt}", "1"), method)
        for path, item in OPENAPI["paths"].items()
        for method in item
        if method != "parameters"
    }
    routes = api.handlers()
    served = {
        (path, method)
        for path, _ in documented
        for route in routes
        if route.regex.match(path)
        for method in ("get", "post", "put", "patch", "delete")
        if method in vars(route.handler_class)
    }
    assert served == documented
    assert len(routes) == len(OPENAPI["paths"])


@pytest.mark.parametrize("path", [path for path, item in OPENAPI["paths"].items() if "get" in item])
def test_every_get_answers_as_documented(site: Site, path: str) -> None:
    """A program made from the document would break on an answer."""
    filled = path.replace("{name}", quote(HOSTILE, safe="")).replace("{receipt}", receipts(site)[0])
    answer = site.get(filled)
    assert answer.status == 200
    validated(answer, path)


@pytest.mark.parametrize("path", [path for path in OPENAPI["paths"] if "{" in path])
def test_what_is_not_there_is_404_and_says_so(site: Site, path: str) -> None:
    """A misspelt name would seem to have been acted on, or be run as a script by who shows the error."""
    method = "get" if "get" in OPENAPI["paths"][path] else "post"
    answer = site.send(
        method.upper(), path.replace("{name}", quote("<b>%s", safe="")).replace("{receipt}", "999")
    )
    assert answer.status == 404
    named = "'<b>%s'" if "{name}" in path else "'999'"
    assert named in validated(answer, path, method)["error"]


@pytest.mark.parametrize("path", [path for path, item in OPENAPI["paths"].items() if "post" in item])
def test_every_post_answers_as_documented(site: Site, path: str) -> None:
    """A button would do nothing, or say so in a way that nobody reads."""
    filled = path.replace("{name}", quote(HOSTILE, safe="")).replace("{receipt}", receipts(site)[0])
    answer = site.post(filled)
    assert answer.status == 200
    validated(answer, path, "post")


def test_a_get_changes_nothing(site: Site) -> None:
    """A link, an image or a prefetch would drain a node."""
    for path in (path for path, item in OPENAPI["paths"].items() if "post" in item):
        assert site.get(path.replace("{name}", "busy").replace("{receipt}", "1")).status == 405


def test_the_cluster_document_counts_what_is_there(site: Site) -> None:
    """The cards would not agree with the rows under them."""
    document = site.get("/api/cluster").json
    assert document["cards"] == {
        "nodes": 4,
        "nodes_up": 2,
        "nodes_draining": 1,
        "nodes_lost": 1,
        "slots": 6,
        "busy": 1,
        "free": 3,
        "waiting": 2,
        "placed": 1,
        "claimed": 1,
        "restored_last_hour": 0,
        "given_up_last_hour": 2,
        "dead": 2,
    }
    assert not document["read_only"]
    rows = {node["name"]: node for node in document["nodes"]}
    assert (rows["busy"]["inbox"], rows["busy"]["claims"], rows["busy"]["busy"]) == (1, 1, 1)
    assert {name: row["state"] for name, row in rows.items()} == {
        "busy": "up",
        "drained": "draining",
        "lost": "lost",
        HOSTILE: "up",
    }
    [queue] = document["queues"]
    assert (queue["waiting"], queue["placed"], queue["claimed"], queue["nodes"]) == (2, 1, 1, 2)
    assert queue["stranded"] == {f"gpu={HOSTILE}": 1}
    assert {event["kind"] for event in document["events"]} == {"up", "lost", "drained", "given up"}


def test_a_node_tells_who_placed_its_tasks(clean_valkey: Server) -> None:
    """Operators could not tell which strategy loads a node."""
    cluster = Cluster.on(clean_valkey)
    app = make_app(clean_valkey.url(), switchyard.Settings(refresh=60))
    fields: dict[str, str | int] = {"slots": 9, "limit": 9, "lease": LEASE_MS, "queues": '["celery"]'}
    cluster.state.register("a", "a-1", LEASE_MS, ["celery"], fields)
    for strategy, count in (("least_load", 3), ("round_robin", 2)):
        for _ in range(count):
            app.tasks["noop"].apply_async(placement={"strategy": strategy})
    with dashboard(app) as site:
        node = site.get("/api/nodes/a").json["node"]
    app.close()
    assert node["placements"] == {"least_load": 3, "round_robin": 2}


def test_drain_and_resume_are_seen_at_once(site: Site, cluster: Cluster) -> None:
    """After a click the page would show the old state for a while, and people would click again."""

    def state() -> str:
        return str(site.get("/api/nodes/busy").json["node"]["state"])

    assert site.post("/api/nodes/busy/drain").json == {"node": "busy", "given_back": 1}
    wait_until(lambda: state() == "draining", "the node is shown as draining", timeout=5)
    assert site.post("/api/nodes/busy/resume").json == {"node": "busy"}
    wait_until(lambda: state() == "up", "the node is shown as up", timeout=5)


def test_a_dead_task_is_shown_whole_requeued_and_discarded(site: Site, cluster: Cluster) -> None:
    """A task given up on could not be looked into, or not be saved."""
    second, first = receipts(site)
    assert site.get(f"/api/dead/{first}").json["dead"]["message"] == "poison 1"
    assert site.get(f"/api/dead/{first}").json["dead"]["nodes"] == ["victim"]
    assert site.post(f"/api/dead/{first}/requeue").status == 200
    assert site.post(f"/api/dead/{second}/discard").status == 200
    assert "poison 1" in cluster.shared()
    wait_until(lambda: receipts(site) == [], "no task is dead any more", timeout=5)


def test_events_can_be_asked_for_by_node_and_number(site: Site) -> None:
    """A node's own page would show other nodes' events."""
    events = site.get("/api/events?node=lost").json["events"]
    assert [event["kind"] for event in events] == ["lost", "up"]
    ids = [event["id"] for event in site.get("/api/events").json["events"]]
    assert ids == sorted(ids, reverse=True)
    assert len(site.get("/api/events?limit=2").json["events"]) == 2
    assert site.get("/api/events?limit=0").status == 400
    assert site.get("/api/events?limit=many").status == 400


def test_a_prefix_moves_the_api(clean_valkey: Server) -> None:
    """Behind a proxy that serves it under a path, the dashboard would not be found."""
    app = make_app(clean_valkey.url())
    with dashboard(app, url_prefix="monitor") as site:
        assert site.get("/monitor/api/cluster").status == 200
        assert site.get("/api/cluster").status == 404
    app.close()
