"""Who gets in, and who may change something: every route of Flower's and of ours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from flower.urls import handlers as flowers_handlers
from flower.urls import settings
from tornado.web import create_signed_value

from switchyard.flower import api, pages
from tests.support.app import make_app
from tests.support.cluster import Cluster
from tests.support.dashboard import basic, dashboard
from tests.support.servers import Server

LOGIN: dict[str, Any] = {"basic_auth": ["ann:secret"]}
OAUTH: dict[str, Any] = {"auth": ".*@example.com", "auth_provider": "flower.views.auth.GithubLoginHandler"}
ACTIONS = (
    "/api/nodes/n1/drain",
    "/api/nodes/n1/resume",
    "/api/dead/1/requeue",
    "/api/dead/1/discard",
)
#: What anybody may see: the login itself, and files that are in the package.
OPEN = {"/login/?", "/logout", "/static/(.*)", "/static/switchyard/(.*)", ".*"}


@pytest.fixture
def app(clean_valkey: Server) -> Iterator[Celery]:
    Cluster.on(clean_valkey).join("n1")
    app = make_app(clean_valkey.url())
    yield app
    app.close()


def patterns() -> list[str]:
    """Every route that is not open, as a path."""
    ours = [route.regex.pattern for route in (*api.handlers(), *pages.handlers())]
    flowers = [
        (getattr(route, "regex", None) and route.regex.pattern) or route[0] for route in flowers_handlers
    ]
    routes = {route.rstrip("$") for route in (*ours, *flowers)} - OPEN
    return sorted(
        route.replace("([^/]+)", "n1").replace("([0-9]+)", "1").replace("(.+)", "x").replace("(.*)", "x")
        for route in routes
    )


def plain_pages() -> list[str]:
    """Our pages, as paths; not their files."""
    return [route.regex.pattern.rstrip("$") for route in pages.handlers() if route.regex.groups == 0]


def signed_in(email: str) -> str:
    """The cookie of somebody who came back from the OAuth provider."""
    return "user=" + create_signed_value(settings["cookie_secret"], "user", email).decode()


def test_no_route_answers_without_the_login(app: Celery) -> None:
    """Tasks with customers' data, or a button, would be open to everybody who can reach the port."""
    with dashboard(app, **LOGIN) as site:
        assert len(patterns()) > 35
        for path in patterns():
            answers = {method: site.send(method, path).status for method in ("GET", "POST")}
            assert 401 in answers.values(), path
            assert set(answers.values()) <= {401, 405}, path
        assert site.get("/api/cluster", Authorization=basic("ann:wrong")).status == 401
        assert site.get("/api/cluster", Authorization="Basic nonsense").status == 401
        for path in patterns():
            assert site.get(path, Authorization=basic("j\u00fcrgen:secret")).status in {401, 405}, path
        assert site.get("/api/cluster", Authorization=basic("ann:secret")).status == 200
        assert site.get("/metrics", Authorization=basic("ann:secret")).status == 200
        assert site.get("/healthcheck", Authorization=basic("ann:secret")).text == "OK"


def test_scrapers_and_probes_can_be_let_in_and_only_there(app: Celery) -> None:
    """Prometheus could not be used with OAuth, or its switch would open more than it says."""
    with dashboard(app, open_metrics=True, **LOGIN) as site:
        assert "switchyard_nodes" in site.get("/metrics").text
        assert site.get("/healthcheck").status == 200
        assert site.get("/api/cluster").status == 401


def test_oauth_guards_the_api_and_asks_for_the_token(app: Celery) -> None:
    """With OAuth the API would be open, or another site could press the buttons with the cookie."""
    with dashboard(app, **OAUTH) as site:
        assert site.get("/api/cluster").status == 401
        for page in plain_pages():
            assert site.get(page).headers["location"].startswith("/login?next=%2F"), page
        assert site.get("/api/cluster", Cookie=signed_in("eve@example.org")).status == 401
        ann = signed_in("ann@example.com")
        assert site.get("/api/cluster", Cookie=ann).status == 200
        assert site.post("/api/nodes/n1/drain", Cookie=ann).status == 403
        token = "2|00000000|00000000000000000000000000000000|1700000000"
        same = {"Cookie": f"{ann}; _xsrf={token}", "X_XSRFToken": token, "Sec_Fetch_Site": "same-origin"}
        assert site.post("/api/nodes/n1/drain", **same).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "cross-site", "Origin": "https://evil.example"},
        {"Sec_Fetch_Site": "same-site", "Origin": "https://other.example"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
@pytest.mark.parametrize("login", [{}, LOGIN])
def test_another_site_can_not_press_a_button(
    app: Celery, headers: dict[str, str], login: dict[str, Any]
) -> None:
    """Any page that an operator visits could drain nodes and discard tasks with the operator's login."""
    with dashboard(app, **login) as site:
        for path in ACTIONS:
            answer = site.post(path, Authorization=basic("ann:secret"), **headers)
            assert answer.status == 403, path
            assert "error" in answer.json
        assert site.get("/api/nodes/n1", Authorization=basic("ann:secret")).json["node"]["state"] == "up"


def test_our_own_pages_and_programs_can(app: Celery) -> None:
    """The buttons, or curl with the login, would not work."""
    with dashboard(app, **LOGIN) as site:
        ann = basic("ann:secret")
        assert site.post("/api/nodes/n1/drain", Authorization=ann).status == 200
        same = {"Sec_Fetch_Site": "same-origin", "Origin": site.url}
        assert site.post("/api/nodes/n1/resume", Authorization=ann, **same).status == 200
        assert site.post("/api/nodes/n1/drain", Authorization=ann, Origin=site.url).status == 200


def test_read_only_refuses_every_action(app: Celery) -> None:
    """A dashboard on a wall could be used to throw tasks away."""
    with dashboard(app, read_only=True) as site:
        for path in ACTIONS:
            answer = site.post(path)
            assert (answer.status, "read-only" in answer.json["error"]) == (403, True), path
        document = site.get("/api/cluster").json
        assert (document["read_only"], document["nodes"][0]["state"]) == (True, "up")


def test_a_name_that_points_here_is_not_enough_without_a_login(app: Celery) -> None:
    """A site whose name is changed to 127.0.0.1 is same-origin to the browser and would read and act."""
    with dashboard(app) as site:
        evil = {"Host": "evil.example:5555", "Sec_Fetch_Site": "same-origin"}
        assert site.get("/api/cluster", **evil).status == 403
        assert site.post("/api/nodes/n1/drain", **evil).status == 403
        for path in (*patterns(), "/static/css/flower.css", "/login", "/nowhere"):
            for method in ("GET", "POST", "OPTIONS"):
                assert site.send(method, path, **evil).status == 403, path
        for host in ("localhost:5555", "[::1]:5555", "127.0.0.1"):
            assert site.get("/api/cluster", Host=host).status == 200
    with dashboard(app, open_metrics=True, url_prefix="below") as site:
        assert site.get("/below/metrics", **evil).status == 200
        assert site.get("/below/nodes", **evil).status == 403
    with dashboard(app, insecure=True) as site:
        assert site.get("/api/cluster", Host="dashboard.example").status == 200
    with dashboard(app, **LOGIN) as site:
        answer = site.get("/api/cluster", Host="dashboard.example", Authorization=basic("ann:secret"))
        assert answer.status == 200


def test_no_site_is_let_read_an_answer(app: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flower's switch for an open API lets every site read; what a node is called is not for them."""
    monkeypatch.setenv("FLOWER_UNAUTHENTICATED_API", "true")
    with dashboard(app) as site:
        answer = site.get("/api/cluster", Origin="https://evil.example")
        assert "access-control-allow-origin" not in answer.headers
        assert site.send("OPTIONS", "/api/nodes/n1/drain").status == 405


def test_our_answers_carry_a_content_security_policy(app: Celery) -> None:
    """A value that slipped through could run as a script after all."""
    with dashboard(app) as site:
        for path in ("/api/cluster", "/api/nodes/nobody", *plain_pages()):
            headers = site.get(path).headers
            assert "default-src 'none'" in headers["content-security-policy"]
            assert "unsafe" not in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
