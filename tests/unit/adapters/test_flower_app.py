"""What we rely on of Flower and tornado: their options, their navigation bar, their handlers."""

from __future__ import annotations

import inspect
import logging
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
from flower import command
from flower.app import Flower
from flower.options import default_options, options
from flower.urls import handlers as flowers_handlers
from flower.urls import settings
from flower.utils.blocking import BlockingOperationRunner
from flower.views import BaseHandler
from tornado.web import RequestHandler, url

from switchyard.adapters import flower_app
from switchyard.adapters.flower_app import Templates

FLOWERS = settings["template_path"]


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    """A folder of our own templates: tabs, and a page of the name of one of Flower's."""
    (tmp_path / "tabs.html").write_text("<li>TABS</li>")
    (tmp_path / "404.html").write_text("OURS")
    return tmp_path


def test_every_option_is_known() -> None:
    """Broken if --help leaves Flower's options out, or an option that Flower has is refused as unknown."""
    known = {option.name: option for option in flower_app.known_options()}
    assert len(known) == len(list(options)) > 40
    assert {"port", "address", "basic_auth", "url_prefix", "read_only", "conf"} <= known.keys()
    assert (known["port"].kind, known["port"].multiple) == (int, False)
    assert known["basic_auth"].multiple
    assert known["persistent"].kind is bool
    assert all(isinstance(option.help, str) for option in known.values())
    assert set(default_options) <= known.keys()


def test_flowers_tabs_are_followed_by_ours(ours: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Broken if our tabs vanish from Flower's pages with a new Flower, or its own do."""
    navbar = Templates(FLOWERS, ours, "tabs.html").load("navbar.html")
    page = navbar.generate(
        reverse_url=str, static_url=str, active_tab="tasks", current_user=None,
        handler=SimpleNamespace(application=SimpleNamespace(options=SimpleNamespace(auth=None))),
    ).decode()  # fmt: skip
    theirs, tabs, rest = page.index("Broker"), page.index("TABS"), page.index("theme-toggle")
    assert theirs < tabs < rest
    assert page.count("TABS") == 1
    assert caplog.records == []


def test_a_navigation_bar_without_a_place_for_ours_is_said(
    ours: Path, tmp_path_factory: pytest.TempPathFactory, caplog: pytest.LogCaptureFixture
) -> None:
    """Broken if nobody learns why the tabs are missing, or every page says so again."""
    flowers = tmp_path_factory.mktemp("flower")
    (flowers / "navbar.html").write_text("<div>other</div>")
    with caplog.at_level(logging.WARNING):
        templates = Templates(str(flowers), ours, "tabs.html")
        for _ in range(3):
            assert templates.load("navbar.html").generate() == b"<div>other</div>"
    (record,) = caplog.records
    assert "no place for our tabs; open /nodes" in record.getMessage()


def test_our_templates_come_first(ours: Path) -> None:
    """Broken if our pages do not find their templates, or cannot extend Flower's of the same name."""
    templates = Templates(FLOWERS, ours, "tabs.html")
    assert templates.load("404.html").generate() == b"OURS"
    assert templates.load("flower/404.html").name == "flower/404.html"
    assert "OURS" not in Path(FLOWERS, "404.html").read_text()
    assert templates.load("base.html").name == "base.html"


def test_a_prefix_goes_before_every_address() -> None:
    """Broken if our pages are not below Flower's url_prefix, or lose their names there."""
    (moved,) = flower_app.below_prefix([url("/nodes", RequestHandler, {"a": 1}, name="nodes")], "/deep/")
    assert moved.regex.pattern.rstrip("$") == "/deep/nodes"
    assert (moved.name, moved.kwargs) == ("nodes", {"a": 1})
    same = [url("/nodes", RequestHandler)]
    assert flower_app.below_prefix(same, "") == same


def test_sigterm_ends_the_dashboard() -> None:
    """Broken if a container's stop waits for its time limit."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        flower_app.end_on_sigterm()
        with pytest.raises(SystemExit):
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_flower_still_has_what_we_subclass_and_replace() -> None:
    """Broken if /metrics is open again, or an answer is refused, because Flower renamed what we build on."""
    served = {handler.regex.pattern.rstrip("$") for handler in flowers_handlers if isinstance(handler, url)}
    served |= {handler[0] for handler in flowers_handlers if isinstance(handler, tuple)}
    assert {"/metrics", "/healthcheck"} <= served
    assert {"start", "stop", "start_http_server"} <= vars(Flower).keys()
    assert {"type", "escape", "strip"} <= inspect.signature(BaseHandler.get_argument).parameters.keys()
    assert "connection_errors" in inspect.signature(BlockingOperationRunner.run).parameters
    assert {"template_path", "static_path", "login_url"} <= settings.keys()
    assert list(inspect.signature(command.print_banner).parameters) == ["app", "ssl", "port"]
