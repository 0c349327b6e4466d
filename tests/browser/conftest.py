"""One browser and one cluster for all browser tests; a page that allows no error in its console."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.browser import chromium as debians
from tests.browser.stage import Stage, running


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """The browser. Without one a laptop skips these tests; a CI run fails."""
    if debians.path() is None:
        missing = "no chromium on the PATH; install it: apt-get install chromium"
        if debians.is_required():
            pytest.fail(missing)
        pytest.skip(missing)
    with debians.running() as browser:
        yield browser


@pytest.fixture(scope="package")
def stage(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A cluster of real nodes, and the dashboards that show it."""
    with running(tmp_path_factory.mktemp("stage")) as stage:
        yield stage


@pytest.fixture
def quiet_page(chromium: Browser) -> Iterator[Page]:
    """A page whose console may hold what the browser itself says, of a server that is gone for instance."""
    context = chromium.new_context()
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert errors == []


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A fresh page. Whatever lands in its console as an error fails the test."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.set_default_timeout(15_000)
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert errors == []
