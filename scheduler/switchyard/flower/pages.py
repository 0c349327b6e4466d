"""The pages: Flower's frame around what our JavaScript shows. A page itself reads nothing of the cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tornado.web import StaticFileHandler, url

from switchyard.flower.security import Guarded

_STATIC = Path(__file__).parent / "static"
#: Below Flower's own static files.
_ASSETS = "/static/switchyard/"


class Page(Guarded):
    """A page of ours; ``name`` in its address is the node or the receipt that it is about."""

    def initialize(self, tab: str, title: str, template: str, script: str) -> None:
        """Which tab of the navigation bar it belongs to, and the files that it is made of."""
        self._tab, self._title, self._template, self._script = tab, title, template, script

    def get(self) -> None:
        """The page, before its first figures."""
        name = self.get_query_argument("name", "", strip=False)
        self.render(
            self._template,
            tab=self._tab,
            title=name or self._title,
            name=name,
            script=self._script,
            asset=lambda file: self._below_prefix(_ASSETS + file),
            api=self._below_prefix("/api"),
            read_only=self.application.options.read_only,
        )

    def _below_prefix(self, path: str) -> str:
        prefix = (self.application.options.url_prefix or "").strip("/")
        return f"/{prefix}{path}" if prefix else path


class Assets(StaticFileHandler):
    """Our scripts and style sheet. Scripts import each other by plain names, so a browser must ask again."""

    def set_extra_headers(self, path: str) -> None:
        """A browser may keep the file, but asks whether it is still the same."""
        self.set_header("Cache-Control", "no-cache")
        self.set_header("X-Content-Type-Options", "nosniff")


def handlers() -> list[Any]:
    """The pages and their files, as tornado ``url`` objects."""
    return [
        _page("nodes", "Nodes", "nodes"),
        _page("node", "Node", "nodes"),
        _page("queues", "Queues", "queues"),
        _page("dead", "Dead", "dead"),
        _page("dead_task", "Dead task", "dead"),
        _page("timeline", "Timeline", "timeline"),
        url(_ASSETS + "(.*)", Assets, {"path": str(_STATIC)}),
    ]


def _page(name: str, title: str, tab: str) -> url:
    files = {"template": f"{name}.html", "script": f"{name}.js"}
    return url(f"/{name.replace('_', '-')}", Page, {"tab": tab, "title": title, **files}, name=name)
