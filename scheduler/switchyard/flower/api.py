"""The cluster as JSON under Flower's ``/api/``; ``openapi.json`` describes it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, TypeVar

from tornado.web import HTTPError, url

from switchyard.adapters.flower_app import reason_of, run_blocking
from switchyard.cluster.as_json import dead_document, message_text, summarize
from switchyard.cluster.sought import Sought, page
from switchyard.cluster.state import State
from switchyard.flower.documents import Documents
from switchyard.flower.sampler import DEAD_KEPT, OUTAGE
from switchyard.flower.security import GuardedData

T = TypeVar("T")

#: Events that one answer has if nothing else is asked for, and at most.
EVENTS_DEFAULT, EVENTS_MAX = 200, 1000

#: Dead tasks that are looked at for one answer: whoever looks on sees the answer each second.
_DEAD_EXAMINED = 1000


class Api(GuardedData):
    """What our API handlers have in common: JSON in both cases."""

    def documents(self) -> Documents:
        """What to say of the last look. No I/O."""
        documents: Documents = self.application.documents()
        return documents

    def answer(self, document: dict[str, Any]) -> None:
        """Write one JSON document."""
        self.set_header("Content-Type", "application/json; charset=UTF-8")
        self.finish(json.dumps(document, separators=(",", ":")))

    async def on_cluster(self, what: str, act: Callable[[State], T]) -> T:
        """Ask or change the cluster outside the event loop; 503 if it does not answer."""
        sampler = self.application.sampler
        try:
            return await run_blocking(self, what, lambda: act(sampler.state()), OUTAGE)
        finally:
            sampler.look_soon()

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """``{"error": ...}``, and no more of an unexpected one than that it happened."""
        exc = kwargs.get("exc_info", (None, None, None))[1]
        message = exc.get_message() if isinstance(exc, HTTPError) else None
        if status_code == 401 and self.application.options.basic_auth:
            self.set_header("WWW-Authenticate", 'Basic realm="flower"')
        self.answer({"error": message or reason_of(self)})


class Action(Api):
    """Something that changes the cluster."""

    def prepare(self) -> None:
        """Refuse everything in read-only mode."""
        super().prepare()
        if self.application.options.read_only:
            raise HTTPError(
                403, "the dashboard is read-only; start it without --read-only, or use the command line"
            )


class ClusterHandler(Api):
    """All that the pages refresh from."""

    def get(self) -> None:
        """The cluster in one document."""
        self.answer(self.documents().cluster(self.application.options.read_only))


class NodesHandler(Api):
    """Every node."""

    def get(self) -> None:
        """The nodes."""
        documents = self.documents()
        self.answer({"look": documents.look(), "nodes": documents.nodes()})


class NodeHandler(Api):
    """One node."""

    def get(self, name: str) -> None:
        """The node whole."""
        documents = self.documents()
        node = documents.node(name)
        if node is None:
            raise no_such_node(name)
        self.answer({"look": documents.look(), "node": node})


class QueuesHandler(Api):
    """Every queue."""

    def get(self) -> None:
        """The queues."""
        documents = self.documents()
        self.answer({"look": documents.look(), "trend": documents.trend(), "queues": documents.queues()})


class EventsHandler(Api):
    """What happened."""

    def get(self) -> None:
        """The latest events."""
        limit = self.get_argument("limit", EVENTS_DEFAULT, type=int)
        if not 1 <= limit <= EVENTS_MAX:
            raise HTTPError(400, f"limit is {limit}, but must be from 1 to {EVENTS_MAX}")
        documents = self.documents()
        events = documents.events(limit, self.get_argument("node", None, strip=False, escape=False))
        self.answer({"look": documents.look(), "events": events})


class DeadHandler(Api):
    """Tasks given up on."""

    async def get(self) -> None:
        """The latest of them, from the last look; with arguments those that are like that, read now."""
        start = self.get_argument("start", 0, type=int)
        sought = Sought(*(self.get_argument(name, "", escape=False) for name in ("queue", "task", "reason")))
        if start < 0:
            raise HTTPError(400, f"start is {start}, but must be 0 or more")
        documents = self.documents()
        count = documents.snapshot.dead_count
        found, following = documents.dead(), DEAD_KEPT if count > DEAD_KEPT else None
        if start or sought != Sought():
            found, following = await self.on_cluster("dead", lambda state: _page(state, sought, start))
        self.answer({"look": documents.look(), "count": count, "dead": found, "following": following})


class DeadTaskHandler(Api):
    """One task given up on."""

    async def get(self, receipt: str) -> None:
        """The task whole. Read now: what was kept of it has no message."""
        document = await self.on_cluster("dead", lambda state: _read_dead(state, receipt))
        if document is None:
            raise no_such_task(receipt)
        self.answer({"dead": document})


class DrainHandler(Action):
    """Taking a node out of service."""

    async def post(self, name: str) -> None:
        """Drain it."""
        given_back = await self.on_cluster("drain", lambda state: state.drain(name))
        if given_back is None:
            raise no_such_node(name)
        self.answer({"node": name, "given_back": given_back})


class ResumeHandler(Action):
    """Putting a node back into service."""

    async def post(self, name: str) -> None:
        """Resume it."""
        if not await self.on_cluster("resume", lambda state: state.resume(name)):
            raise no_such_node(name)
        self.answer({"node": name})


class RequeueHandler(Action):
    """Putting a task given up on back on its queue."""

    async def post(self, receipt: str) -> None:
        """Requeue it."""
        if not await self.on_cluster("requeue", lambda state: state.requeue(receipt)):
            raise no_such_task(receipt)
        self.answer({"receipt": receipt})


class DiscardHandler(Action):
    """Throwing a task given up on away."""

    async def post(self, receipt: str) -> None:
        """Discard it."""
        if not await self.on_cluster("discard", lambda state: state.discard(receipt)):
            raise no_such_task(receipt)
        self.answer({"receipt": receipt})


def no_such_node(name: str) -> HTTPError:
    """404 for a node."""
    return HTTPError(404, f"the cluster has no node {name!r}; see /api/nodes for those that it has")


def no_such_task(receipt: str) -> HTTPError:
    """404 for a task given up on."""
    return HTTPError(404, f"no task with receipt {receipt!r} was given up on; see /api/dead")


def handlers() -> list[url]:
    """Our part of the API."""
    return [
        url(r"/api/cluster", ClusterHandler),
        url(r"/api/nodes", NodesHandler),
        url(r"/api/nodes/([^/]+)", NodeHandler),
        url(r"/api/nodes/([^/]+)/drain", DrainHandler),
        url(r"/api/nodes/([^/]+)/resume", ResumeHandler),
        url(r"/api/queues", QueuesHandler),
        url(r"/api/events", EventsHandler),
        url(r"/api/dead", DeadHandler),
        url(r"/api/dead/([0-9]+)", DeadTaskHandler),
        url(r"/api/dead/([0-9]+)/requeue", RequeueHandler),
        url(r"/api/dead/([0-9]+)/discard", DiscardHandler),
    ]


def _page(state: State, sought: Sought, start: int) -> tuple[list[dict[str, Any]], int | None]:
    found = page(state, sought, start, DEAD_KEPT, _DEAD_EXAMINED)
    return [dead_document(summary, time.time()) for summary, _ in found.dead], found.following


def _read_dead(state: State, receipt: str) -> dict[str, Any] | None:
    dead = state.dead(receipt)
    if dead is None:
        return None
    return {**dead_document(summarize(state.keys, dead), time.time()), "message": message_text(dead)}
