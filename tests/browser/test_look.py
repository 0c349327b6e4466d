"""The pages in Flower's frame: its bar, its themes, a phone, and what keeps foreign scripts out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.browser.stage import Stage, bury
from tests.support.nodes import state_of

#: Every page of ours that is about no single thing.
PAGES = ("nodes", "queues", "dead", "timeline")
_PHONE: ViewportSize = {"width": 375, "height": 812}


@pytest.fixture
def paths(stage: Stage) -> Iterator[list[str]]:
    """Every page of ours, those about one thing as well."""
    receipt = bury(stage.app, stage.server, "add", "a long reason " * 20)
    yield [*PAGES, "node?name=a", f"dead-task?name={receipt}"]
    state_of(stage.server).discard(receipt)


def test_our_tabs_are_in_flowers_bar(stage: Stage, page: Page) -> None:
    """Nobody would find the pages, or find back from them."""
    tabs = ["Workers", "Tasks", "Broker", "Nodes", "Queues", "Dead", "Timeline"]
    for path in ("nodes", "workers"):
        page.goto(f"{stage.dashboard.url}/{path}")
        expect(page.locator("#primary-navigation .app-nav").first.get_by_role("link")).to_have_text(tabs)
    page.get_by_role("link", name="Queues").click()
    expect(page.locator("[aria-current=page]")).to_have_text("Queues")


def test_a_page_runs_only_the_servers_scripts(stage: Stage, page: Page, paths: list[str]) -> None:
    """A value that found a way into the page as markup would run."""
    for path in paths:
        answer = page.goto(f"{stage.dashboard.url}/{path}")
        assert answer is not None
        policy = answer.header_value("content-security-policy") or ""
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        inline = "all => all.filter(one => (one.tagName === 'SCRIPT' && !one.src) || one.tagName === 'STYLE')"
        assert page.locator("script, style").evaluate_all(inline) == []
        expect(page.locator("#sy-status")).to_have_text("Live")


def test_the_policy_stops_a_script_in_the_page(stage: Stage, quiet_page: Page) -> None:
    """The policy would be words: this is what stands behind the code that takes all values as text."""
    quiet_page.goto(f"{stage.dashboard.url}/nodes")
    quiet_page.locator("#sy-page").evaluate(
        "page => page.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.pwned=1\">')"
    )
    inline = "document.body.append(Object.assign(document.createElement('script'), {text: 'window.pwned=1'}))"
    quiet_page.evaluate(inline)
    assert quiet_page.evaluate("window.pwned") is None


def test_the_dark_theme(stage: Stage, page: Page) -> None:
    """The pages would glare in the night, or be dark text on a dark ground."""
    page.emulate_media(color_scheme="dark")
    page.goto(f"{stage.dashboard.url}/nodes")
    paint = "one => [getComputedStyle(one).backgroundColor, getComputedStyle(one).color]"
    card = page.locator(".metric-card").first
    assert card.evaluate(paint) == ["rgb(27, 34, 25)", "rgb(230, 235, 227)"]
    page.get_by_role("button", name="Select theme").click()
    page.get_by_role("button", name="Light").click()
    expect(card).to_have_css("background-color", "rgb(255, 255, 255)")


def test_a_phone_shows_all_without_scrolling_sideways(stage: Stage, page: Page, paths: list[str]) -> None:
    """At three in the morning the phone is what is at hand."""
    page.set_viewport_size(_PHONE)
    for path in paths:
        page.goto(f"{stage.dashboard.url}/{path}")
        expect(page.locator("#sy-status")).to_have_text("Live")
        assert page.evaluate("document.documentElement.scrollWidth") <= _PHONE["width"], path
        cells = page.locator("#sy-page :is(td, tbody th, dd, li, button, figure)")
        edges = "all => all.map(one => one.getBoundingClientRect()).map(box => [box.left, box.right])"
        assert all(left >= 0 and right <= _PHONE["width"] for left, right in cells.evaluate_all(edges)), path


def test_a_phone_names_each_value(stage: Stage, page: Page) -> None:
    """Stacked figures without their columns' names mean nothing; a screen reader still needs a table."""
    page.set_viewport_size(_PHONE)
    page.goto(f"{stage.dashboard.url}/nodes")
    cell = page.get_by_role("row").filter(has_text="zone=eu").get_by_role("cell").nth(1)
    expect(cell).to_have_attribute("data-label", "Slots")
    label = cell.evaluate("one => getComputedStyle(one, '::before').content")
    assert label == '"Slots"' or "attr(" in label
    expect(page.get_by_role("table").get_by_role("rowheader", name="b", exact=True)).to_be_visible()
