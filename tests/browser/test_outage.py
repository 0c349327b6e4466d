"""Redis or the dashboard is gone: the pages say so, ages keep counting, everything comes back by itself."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.cluster import join
from tests.browser.dashboard import dashboard
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


def test_redis_and_the_dashboard_go_and_come_back(quiet_page: Page, tmp_path: Path) -> None:
    """In the very hour when it is needed the page would show old figures as if they were true."""
    page, port, log = quiet_page, free_port(), tmp_path / "dashboard.log"
    with ExitStack() as stack:
        first = stack.enter_context(a_server(port))
        shown = stack.enter_context(dashboard(first, log))
        page.goto(f"{shown.url}/nodes")
        page.evaluate("window.loadedOnce = true")
        recovers(page)

        pid = int(first.client().info("server")["process_id"])
        os.kill(pid, signal.SIGSTOP)
        shows_trouble(page, "The cluster can't be seen")
        os.kill(pid, signal.SIGCONT)
        recovers(page)

        os.kill(pid, signal.SIGKILL)
        shows_trouble(page, "The cluster can't be seen")
        second = stack.enter_context(a_server(port))
        recovers(page)

        shown.kill()
        shows_trouble(page, "The dashboard does not answer.")
        stack.enter_context(dashboard(second, log, port=int(shown.url.rpartition(":")[2])))
        recovers(page)
