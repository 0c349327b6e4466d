"""The pages: Flower's frame around what our JavaScript shows. A page itself reads nothing of the cluster."""

from __future__ import annotations

from pathlib import Path

import flower
from flower.views import BaseHandler
from tornado.template import BaseLoader, Template
from tornado.web import StaticFileHandler, URLSpec, authenticated, url

_OURS = Path(__file__).parent
_FLOWERS = Path(flower.__file__).parent / "templates"
#: Below Flower's own static files.
_ASSETS = "/static/switchyard/"

#: Flower's navigation bar, and the end of the list of tabs in it.
_NAVBAR, _END_OF_TABS = "navbar.html", "</ul>"

#: Only what this server sends runs or shapes a page of ours. Flower's style sheet has icons in data URLs.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)


class Templates(BaseLoader):
    """Our templates, else Flower's; its navigation bar gets our tabs, on its own pages too."""

    def resolve_path(self, name: str, parent_path: str | None = None) -> str:
        """A template's name is its file name."""
        return name

    def _create_template(self, name: str) -> Template:
        ours = _OURS / "templates" / name
        source = (ours if ours.exists() else _FLOWERS / name).read_text()
        if name == _NAVBAR:
            source = source.replace(_END_OF_TABS, '{% include "tabs.html" %}' + _END_OF_TABS, 1)
        return Template(source, name=name, loader=self)


class Page(BaseHandler):
    """A page of ours; ``name`` in its address is the node or the receipt that it is about."""

    def initialize(self, tab: str, title: str, template: str, script: str) -> None:
        """Which tab of the navigation bar it belongs to, and the files that it is made of."""
        self._tab, self._title, self._template, self._script = tab, title, template, script

    def set_default_headers(self) -> None:
        """Flower's, and the policy that keeps foreign scripts out."""
        super().set_default_headers()
        self.set_header("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        self.set_header("Referrer-Policy", "same-origin")

    @authenticated
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
    """Our scripts and style sheet. Scripts import each other by plain names, so a browser asks again."""

    def set_extra_headers(self, path: str) -> None:
        """A browser keeps the file, and asks whether it is still the same."""
        self.set_header("Cache-Control", "no-cache")
        self.set_header("X-Content-Type-Options", "nosniff")


def handlers() -> list[URLSpec]:
    """The routes of the pages and their files, without Flower's ``url_prefix``."""
    return [
        _page("nodes", "Nodes", "nodes"),
        _page("node", "Node", "nodes"),
        _page("queues", "Queues", "queues"),
        _page("dead", "Dead", "dead"),
        _page("dead_task", "Dead task", "dead"),
        _page("timeline", "Timeline", "timeline"),
        url(_ASSETS + "(.*)", Assets, {"path": str(_OURS / "static")}),
    ]


def _page(name: str, title: str, tab: str) -> URLSpec:
    files = {"template": f"{name}.html", "script": f"{name}.js"}
    return url(f"/{name.replace('_', '-')}", Page, {"tab": tab, "title": title, **files}, name=name)
