"""Redis or the dashboard is gone: the pages say so, ages keep counting, everything comes back by itself."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager

from playwright.sync_api import Page, expect

from tests.browser.stage import Stage, join
from tests.support.app import make_app
from tests.support.dashboard import dashboard, hold_redis
from tests.support.nodes import state_of
from tests.support.servers import Server, free_port, redis_server


@contextmanager
def a_server(port: int) -> Iterator[Server]:
    """A server with one node."""
    with redis_server(port, []) as server:
        join(state_of(server), "n1", "celery", {})
        yield server


def shows_trouble(page: Page, reason: str) -> None:
    """The page says what is wrong, and its ages count on."""
    expect(page.get_by_role("alert")).to_contain_text(reason, timeout=15_000)
    expect(page.locator("#sy-status")).to_have_text("Last seen")
    for shown in (page.locator("#sy-freshness"), page.locator("#sy-page .sy-age").first):
        before = shown.inner_text()
        expect(shown).not_to_have_text(before)


def is_live(page: Page) -> None:
    """The page follows the cluster, and was not reloaded for that."""
    expect(page.locator("#sy-status")).to_have_text("Live", timeout=15_000)
    expect(page.locator("#sy-trouble")).to_be_hidden()
    expect(page.locator("#sy-page .sy-badge").first).to_have_text("up", timeout=15_000)
    assert page.evaluate("window.loadedOnce") is True


def test_redis_goes_and_comes_back(quiet_page: Page) -> None:
    """In the very hour when it is needed the page would show old figures as if they were true."""
    page, port = quiet_page, free_port()
    with a_server(port) as server, closing(make_app(server.url())) as app, dashboard(app) as site:
        page.goto(f"{site.url}/nodes")
        page.evaluate("window.loadedOnce = true")
        is_live(page)

        with hold_redis(server, site):
            shows_trouble(page, "The cluster can't be seen")
        is_live(page)

        os.kill(int(server.client().info("server")["process_id"]), signal.SIGKILL)
        shows_trouble(page, "The cluster can't be seen")
        with a_server(port):
            is_live(page)


def test_the_dashboard_goes_and_comes_back(stage: Stage, quiet_page: Page) -> None:
    """After every deployment of the dashboard somebody would have to reload the page on the wall."""
    quiet_page.goto(f"{stage.dashboard.url}/node?name=a")
    quiet_page.evaluate("window.loadedOnce = true")
    is_live(quiet_page)
    quiet_page.context.set_offline(True)
    shows_trouble(quiet_page, "The dashboard does not answer.")
    quiet_page.context.set_offline(False)
    is_live(quiet_page)
