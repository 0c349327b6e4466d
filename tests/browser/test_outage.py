"""Redis or the dashboard is gone: the pages say so, ages keep counting, everything comes back by itself."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.stage import join
from tests.support.dashboard import dashboard_process
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
    for shown in (page.locator("#sy-freshness"), page.locator("#nodes .sy-age")):
        before = shown.inner_text()
        expect(shown).not_to_have_text(before)


def recovers(page: Page) -> None:
    """The page is live again, without being reloaded."""
    expect(page.locator("#sy-status")).to_have_text("Live", timeout=15_000)
    expect(page.locator("#sy-trouble")).to_be_hidden()
    expect(page.locator("#nodes .sy-badge")).to_have_text("up", timeout=15_000)
    assert page.evaluate("window.loadedOnce") is True


def test_redis_goes_and_comes_back(quiet_page: Page, tmp_path: Path) -> None:
    """In the very hour when it is needed the page would show old figures as if they were true."""
    page, port = quiet_page, free_port()
    with a_server(port) as server, dashboard_process(server, tmp_path / "log") as site:
        page.goto(f"{site.url}/nodes")
        page.evaluate("window.loadedOnce = true")
        recovers(page)

        pid = int(server.client().info("server")["process_id"])
        os.kill(pid, signal.SIGSTOP)
        shows_trouble(page, "The cluster can't be seen")
        os.kill(pid, signal.SIGCONT)
        recovers(page)

        os.kill(pid, signal.SIGKILL)
        shows_trouble(page, "The cluster can't be seen")
        with a_server(port):
            recovers(page)


def test_the_dashboard_goes_and_comes_back(clean_valkey: Server, quiet_page: Page, tmp_path: Path) -> None:
    """After every deployment of the dashboard somebody would have to reload the page on the wall."""
    page, port, log = quiet_page, free_port(), tmp_path / "log"
    join(state_of(clean_valkey), "n1", "celery", {})
    with dashboard_process(clean_valkey, log, port=port) as site:
        page.goto(f"{site.url}/nodes")
        page.evaluate("window.loadedOnce = true")
        recovers(page)
    shows_trouble(page, "The dashboard does not answer.")
    with dashboard_process(clean_valkey, log, port=port):
        recovers(page)
