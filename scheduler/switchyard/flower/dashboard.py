"""Flower's application with our pages, our API and our metrics in it, without patching it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from flower.app import Flower
from prometheus_client import REGISTRY
from redis.backoff import NoBackoff
from redis.retry import Retry
from tornado.httputil import HTTPServerRequest
from tornado.web import url

from switchyard.adapters.flower_app import Templates, below_prefix
from switchyard.cluster.state import State
from switchyard.flower import api, pages
from switchyard.flower.documents import Documents
from switchyard.flower.metrics import ClusterCollector, Healthcheck, Metrics
from switchyard.flower.sampler import Sampler
from switchyard.flower.security import Refused, refusal
from switchyard.install import installation
from switchyard.transport.opening import open_state

_TEMPLATES = Path(__file__).parent / "templates"
#: What can be opened to scrapers and probes.
_FOR_PROBES = ("/metrics", "/healthcheck")
#: Seconds that a look or an action waits for one answer of the server.
_PATIENCE = 1.5


class Dashboard(Flower):
    """Flower for an application that Switchyard is installed in.

    ``options`` are Flower's, ``settings`` tornado's, as Flower's own command makes them. ``open_metrics``
    lets scrapers and probes in without a login; ``insecure`` serves without one whoever asks. Raises
    ConfigurationError if the application does not use Switchyard.
    """

    def __init__(
        self, capp: Any, options: Any, *, open_metrics: bool = False, insecure: bool = False, **settings: Any
    ) -> None:
        installation(capp)  # says now, not at the first look, that something is missing
        settings["template_loader"] = Templates(settings["template_path"], _TEMPLATES, "tabs.html")
        settings["cross_origin_protection"] = True
        super().__init__(options=options, capp=capp, **settings)
        prefix = f"/{stripped}" if (stripped := (options.url_prefix or "").strip("/")) else ""
        self._open = {prefix + path for path in _FOR_PROBES} if open_metrics else set()
        self._insecure = insecure
        self.sampler = Sampler(lambda: _connect(capp))
        self._collector = ClusterCollector(self.documents)
        self.add_handlers(".*", self._handlers(open_metrics))

    def watch(self) -> None:
        """Look at the cluster until :meth:`stop`, and offer what is seen to Prometheus."""
        REGISTRY.register(self._collector)
        self.sampler.start()

    def start(self) -> None:
        """Look at the cluster and serve until :meth:`stop`."""
        self.watch()
        super().start()

    def stop(self) -> None:
        """Stop serving and looking."""
        self.unwatch()
        super().stop()

    def unwatch(self) -> None:
        """Look no more."""
        if self.sampler.stop():
            REGISTRY.unregister(self._collector)

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        """Flower's handlers would answer what must be refused, and some of them show what tasks are given."""
        if request.path not in self._open and (why := refusal(request, self.options, self._insecure)):
            return self.get_handler_delegate(
                request, Refused, dict(zip(("status", "reason"), why, strict=True))
            )
        return super().find_handler(request, **kwargs)

    def documents(self) -> Documents:
        """What to say of the last look. No I/O."""
        snapshot = self.sampler.snapshot
        return Documents(snapshot, snapshot.age(time.monotonic()))

    def _handlers(self, open_metrics: bool) -> list[Any]:
        mine = [*api.handlers(), *pages.handlers()]
        if not open_metrics:
            metrics, health = _FOR_PROBES
            mine += [url(metrics, Metrics), url(health, Healthcheck)]
        return below_prefix(mine, self.options.url_prefix)


def _connect(capp: Any) -> State:
    """The cluster's state. Raises BrokerUnreachable."""
    settings = installation(capp).settings.model_copy(update={"lease": _PATIENCE})
    state = open_state(capp, settings, capp.conf.broker_read_url)
    # A look that failed is tried again in a second; until then people shall know.
    state.client.set_retry(Retry(NoBackoff(), 0))
    return state
