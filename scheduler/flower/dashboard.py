"""Flower's application with our pages, our API and our metrics in it, without patching it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from flower.app import Flower, rewrite_handler
from tornado.template import Loader, Template

from scheduler.broker import open_state
from scheduler.flower import api, pages
from scheduler.flower.documents import Documents
from scheduler.flower.sampler import Sampler
from scheduler.plugin import installation
from scheduler.state import State

_HERE = Path(__file__).parent
#: Seconds that a look or an action waits for one answer of the server.
_PATIENCE = 1.5


class Templates(Loader):
    """Our templates first, then Flower's. ``flower/NAME`` is Flower's own also where we have one."""

    def _create_template(self, name: str) -> Template:
        ours = _HERE / "templates" / name
        path = ours if ours.is_file() else Path(self.root, name.removeprefix("flower/"))
        source = path.read_text()
        if name == "navbar.html":
            source = pages.with_our_tabs(source)
        return Template(source, name=name, loader=self)


class Dashboard(Flower):
    """Flower for an application that Switchyard is installed in.

    ``settings`` are tornado's, as Flower's own command makes them. Raises ConfigurationError.
    """

    def __init__(self, capp: Any, options: Any, **settings: Any) -> None:
        loader = Templates(settings["template_path"])
        super().__init__(
            options=options,
            capp=capp,
            **{**settings, "template_loader": loader, "cross_origin_protection": True},
        )
        self.sampler = Sampler(lambda: _open(capp))
        self.add_handlers(".*", self._ours())

    def start(self) -> None:
        """Look at the cluster and serve until :meth:`stop`."""
        self.sampler.start()
        super().start()

    def stop(self) -> None:
        """Stop serving and looking."""
        self.sampler.stop()
        super().stop()

    def documents(self) -> Documents:
        """What to say of the last look. No I/O."""
        snapshot = self.sampler.snapshot
        return Documents(snapshot, snapshot.age(time.monotonic()))

    def _ours(self) -> list[Any]:
        mine = [*api.handlers(), *pages.handlers()]
        prefix = self.options.url_prefix
        return [rewrite_handler(handler, prefix) for handler in mine] if prefix else mine


def _open(capp: Any) -> State:
    settings = installation(capp).settings.model_copy(update={"lease": _PATIENCE})
    return open_state(capp, settings)
