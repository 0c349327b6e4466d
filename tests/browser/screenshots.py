"""Pictures of the dashboard for the documentation: ``python -m tests.browser.screenshots``.

Runs a small cluster with real tasks for some minutes; two of its nodes die of a task that kills them.
"""

from __future__ import annotations

import argparse
import math
import random
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from celery import Celery
from playwright.sync_api import Browser, expect

from switchyard.cluster.state import State
from tests.browser import chromium
from tests.support import servers
from tests.support.app import make_app
from tests.support.dashboard import Site, dashboard_process
from tests.support.nodes import ROOT, is_up, state_of, worker
from tests.support.servers import Server
from tests.support.waiting import wait_until

#: Width and height of a screen, in CSS pixels.
_DESK, _PHONE = (1440, 780), (375, 812)
#: Seconds between two rounds of new tasks, and in which their number swings up and down.
_ROUND, _SWING = 0.25, 60.0
#: A task goes to the dead once this many nodes have died holding it.
_DEATHS = 2
#: Seconds that tasks keep the nodes busy which the deadly one waits for, and until it surely was given up on.
_NAP, _GIVEN_UP = 60.0, 180.0


@dataclass(frozen=True, slots=True)
class NodePlan:
    """A node to start."""

    slots: int
    queues: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Picture:
    """A page to take a picture of."""

    file: str
    path: str
    dark: bool = False
    screen: tuple[int, int] = _DESK


NODES = {
    "api-1": NodePlan(4, "celery", ("zone=eu-1",)),
    "api-2": NodePlan(4, "celery", ("zone=eu-2",)),
    "batch-1": NodePlan(8, "reports", ("zone=eu-2", "disk=ssd")),
    "gpu-1": NodePlan(2, "celery,train", ("zone=eu-1", "gpu=h100")),
    "canary-1": NodePlan(2, "untried"),
    "canary-2": NodePlan(2, "untried"),
}

PICTURES = (
    Picture("nodes", "nodes"),
    Picture("nodes-dark", "nodes", dark=True),
    Picture("nodes-phone", "nodes", screen=_PHONE),
    Picture("node", "node?name=api-1"),
    Picture("queues", "queues"),
    Picture("queues-dark", "queues", dark=True),
    Picture("dead", "dead"),
    Picture("timeline-dark", "timeline", dark=True),
)


def main() -> None:
    """Start the cluster, let it work, take the pictures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=180.0, help="how long the cluster works first")
    arguments.add_argument("--into", type=Path, default=ROOT / "docs" / "images")
    chosen = arguments.parse_args()
    chosen.into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, _cluster(Path(folder)) as (server, site):
        app = make_app(server.url())
        with _customers(app):
            _something_happens(app, state_of(server), chosen.seconds)
            _take_all(site, chosen.into)
        app.close()


@contextmanager
def _cluster(folder: Path) -> Iterator[tuple[Server, Site]]:
    """The nodes, and a dashboard that watches them from the beginning."""
    env = {"SWITCHYARD_MAX_DELIVERIES": str(_DEATHS)}
    with ExitStack() as stack:
        server = stack.enter_context(servers.running("valkey"))
        site = stack.enter_context(dashboard_process(server, folder / "dashboard.log"))
        for name, plan in NODES.items():
            options = [part for label in plan.labels for part in ("--label", label)]
            node = worker(
                server, folder, name, plan.slots, queues=plan.queues, options=options, env=env, ready=False
            )
            stack.enter_context(node)
        for name in NODES:
            wait_until(partial(is_up, server, name), f"{name} is up", timeout=90)
        yield server, site


@contextmanager
def _customers(app: Celery) -> Iterator[None]:
    """Send tasks, now more, now fewer, until the block ends."""
    stopped = threading.Event()

    def send() -> None:
        while not stopped.wait(_ROUND):
            tide = 0.9 + 0.3 * math.sin(time.monotonic() * 2 * math.pi / _SWING)
            _send(app, 13 * tide, "celery", 0.7, {})
            _send(app, 2.5 * tide, "reports", 2.5, {"strategy": "round_robin", "overflow": True})
            _send(app, 0.3 * tide, "train", 3.0, {"labels": {"gpu": "h100"}})

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join(10)


def _send(app: Celery, per_second: float, queue: str, mean: float, placement: dict[str, Any]) -> None:
    """As many tasks of this mean run time, in seconds, as arrive in one round."""
    for _ in range(int(per_second * _ROUND + random.random())):
        seconds = round(random.expovariate(1 / mean), 2)
        app.send_task("nap", (seconds,), queue=queue, placement=placement, ignore_result=True)


def _something_happens(app: Celery, state: State, seconds: float) -> None:
    """An ordinary day, then a message that nobody can read, a task that kills, and a node to look after."""
    pause = threading.Event()
    pause.wait(seconds / 2)
    state.client.lpush("celery", "no message at all")
    for _ in range(4):
        app.send_task("nap", (_NAP,), queue="untried")
    app.send_task("poison", queue="untried", ignore_result=True)
    app.send_task("train.model", ("resnet",), queue="train", placement={"labels": {"gpu": "b200"}})
    wait_until(lambda: len(state.dead_receipts()) > 1, "the deadly task is given up on", timeout=_GIVEN_UP)
    pause.wait(seconds / 2)
    state.drain("api-2")
    pause.wait(5)


def _take_all(site: Site, into: Path) -> None:
    with chromium.running() as browser:
        for picture in PICTURES:
            _take(browser, site, picture, into)


def _take(browser: Browser, site: Site, picture: Picture, into: Path) -> None:
    width, height = picture.screen
    context = browser.new_context(viewport={"width": width, "height": height})
    page = context.new_page()
    page.emulate_media(color_scheme="dark" if picture.dark else "light")
    page.goto(f"{site.url}/{picture.path}")
    expect(page.locator("#sy-status")).to_have_text("Live")
    page.screenshot(path=into / f"{picture.file}.png", full_page=picture.screen == _DESK)
    context.close()


if __name__ == "__main__":
    main()
