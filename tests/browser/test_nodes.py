"""The Nodes page and a node's own page."""

from __future__ import annotations

import json
import time

import pytest
from playwright.sync_api import Locator, Page, expect

from switchyard.models import NodeState
from tests.browser.stage import HOSTILE, LEASE, Stage
from tests.support.nodes import node_of, state_of
from tests.support.waiting import wait_until

#: Key presses after which a button that can be reached has been reached.
_ENOUGH_TABS = 60


def row(page: Page, name: str) -> Locator:
    """The row of a node."""
    return page.locator("#nodes tbody tr").filter(has=page.get_by_role("link", name=name, exact=True))


def state(page: Page, name: str) -> Locator:
    """What its row says of a node's state."""
    return row(page, name).locator(".sy-badge")


def state_in_redis(stage: Stage, name: str) -> NodeState | None:
    """What the cluster thinks of a node."""
    node = node_of(stage.server, name)
    return node.state if node else None


def test_drain_and_resume_by_button(stage: Stage, page: Page) -> None:
    """An operator would think that a node is out of service while it goes on taking tasks."""
    page.goto(f"{stage.dashboard.url}/nodes")
    page.get_by_role("button", name="Drain node a", exact=True).click()
    expect(state(page, "a")).to_have_text("draining")
    assert state_in_redis(stage, "a") is NodeState.DRAINING
    expect(page.get_by_text("Node a drains; 0 tasks of its inbox went back.")).to_be_visible()
    page.get_by_role("button", name="Resume node a", exact=True).click()
    expect(state(page, "a")).to_have_text("up")
    assert state_in_redis(stage, "a") is NodeState.UP


def test_drain_with_the_keyboard_alone(stage: Stage, page: Page) -> None:
    """Who uses no mouse could not drain, or would lose his place with every refresh."""
    page.goto(f"{stage.dashboard.url}/nodes")
    expect(state(page, "b")).to_have_text("up")
    focused = page.locator(":focus")
    for _ in range(_ENOUGH_TABS):
        page.keyboard.press("Tab")
        if focused.count() and focused.get_attribute("aria-label") == "Drain node b":
            break
    page.keyboard.press("Enter")
    expect(state(page, "b")).to_have_text("draining")
    expect(focused).to_have_attribute("aria-label", "Resume node b")
    page.keyboard.press("Space")
    expect(state(page, "b")).to_have_text("up")
    expect(focused).to_have_attribute("aria-label", "Drain node b")


def test_rows_are_updated_in_place(stage: Stage, page: Page) -> None:
    """With every refresh the page would flicker and drop what the reader has selected."""
    page.goto(f"{stage.dashboard.url}/nodes")
    outstanding = row(page, "b").get_by_role("cell").nth(2)
    expect(outstanding).to_have_text("0")
    row(page, "b").evaluate("row => { row.mark = 'the same row'; }")
    sent = stage.app.send_task("nap", (2.5,), placement={"node": "b"})
    expect(outstanding).to_have_text("1")
    assert row(page, "b").evaluate("row => row.mark") == "the same row"
    expect(row(page, "b")).to_contain_text("least_load 1")
    assert sent.get(timeout=20) == 2.5


def test_hostile_names_are_text(stage: Stage, page: Page) -> None:
    """Whoever may name a node could run scripts in the operator's browser."""
    page.goto(f"{stage.dashboard.url}/nodes")
    expect(row(page, HOSTILE)).to_contain_text(f"{HOSTILE}={HOSTILE}")
    page.get_by_role("button", name=f"Drain node {HOSTILE}", exact=True).click()
    expect(page.locator(".toast-body")).to_contain_text(f"Node {HOSTILE} drains")
    page.get_by_role("button", name=f"Resume node {HOSTILE}", exact=True).click()
    expect(state(page, HOSTILE)).to_have_text("up")
    page.get_by_role("link", name=HOSTILE, exact=True).click()
    expect(page.get_by_role("heading", name=HOSTILE)).to_be_visible()
    expect(page.locator("#about")).to_contain_text(f"{HOSTILE}={HOSTILE}")
    expect(page.locator("#events")).to_contain_text(f"Node {HOSTILE} joined the cluster")
    assert page.evaluate("window.pwned") is None


def test_a_nodes_page_says_how_warm_it_is(stage: Stage, page: Page) -> None:
    """Nobody could see on which node cached results are worth their memory."""
    figures = {"near_hits": 5, "near_misses": 3, "found": 1, "near_entries": 2, "near_bytes": 1_500_000}
    state_ = state_of(stage.server)
    state_.client.hset(state_.keys.node(HOSTILE), "load", json.dumps({"cache": figures}))
    page.goto(f"{stage.dashboard.url}/nodes")
    page.get_by_role("link", name="a", exact=True).click()
    expect(page.locator("#about")).to_contain_text("Cache hits\N{EN DASH}")
    page.go_back()
    page.get_by_role("link", name=HOSTILE, exact=True).click()
    expect(page.locator("#about")).to_contain_text("Cache hits75 %")
    expect(page.locator("#about")).to_contain_text("2 values, 1.5 MB")


def test_the_page_says_everything_to_a_screen_reader(stage: Stage, page: Page) -> None:
    """Who can't see the page would get a heap of figures without names."""
    page.goto(f"{stage.dashboard.url}/nodes")
    table = page.get_by_role("table", name="Nodes of the cluster, those lost within the last hour included")
    expect(table.get_by_role("rowheader", name="a", exact=True)).to_be_visible()
    heads = table.get_by_role("columnheader")
    assert heads.evaluate_all("cells => cells.every(cell => cell.scope === 'col' && cell.textContent.trim())")
    expect(row(page, "a").get_by_role("img", name="Slots in use over the last 5 minutes")).to_be_visible()
    expect(page.get_by_role("region", name="Cluster summary").get_by_role("heading")).to_have_count(5)
    expect(page.get_by_role("heading", name="Nodes", level=1)).to_be_visible()
    expect(page.locator("#sy-status")).to_have_role("status")
    nameless = "all => all.filter(one => !one.innerText.trim() && !one.getAttribute('aria-label'))"
    assert page.locator("#sy-page").locator("button, a").evaluate_all(nameless) == []


def test_a_read_only_dashboard_has_no_buttons(stage: Stage, page: Page) -> None:
    """Who may only look would be offered what is then refused."""
    page.goto(f"{stage.read_only}/nodes")
    expect(state(page, "a")).to_have_text("up")
    expect(page.locator("#sy-page button")).to_have_count(0)
    page.get_by_role("link", name="a", exact=True).click()
    expect(page.locator("#about")).to_contain_text("Lease age")
    expect(page.locator("#sy-page button")).to_have_count(0)


@pytest.mark.timing
def test_a_killed_node_is_lost_and_its_tasks_restored(stage: Stage, page: Page) -> None:
    """The operator would learn of a dead node from the people who wait for their tasks."""
    page.goto(f"{stage.dashboard.url}/nodes")
    for _ in range(2):
        stage.app.send_task("nap", (600,), placement={"node": "victim"})
    wait_until(lambda: (node := node_of(stage.server, "victim")) and node.claims == 2, "victim holds both")
    expect(row(page, "victim")).to_contain_text("2/2")
    stage.nodes["victim"].kill()
    deadline = time.monotonic() + LEASE + 3

    def left_ms() -> float:
        return max(deadline - time.monotonic(), 0.001) * 1000

    expect(state(page, "victim")).to_have_text("lost", timeout=left_ms())
    expect(page.locator("#card-restored")).to_have_text("2", timeout=left_ms())
    expect(row(page, "victim").get_by_role("cell").nth(2)).to_have_text("0", timeout=left_ms())
    expect(page.locator("#sy-announcer")).to_contain_text("Node victim is lost.")
    expect(row(page, "victim").get_by_role("button")).to_have_count(0)
    page.get_by_role("link", name="victim", exact=True).click()
    expect(page.locator("#events")).to_contain_text("Node victim missed its lease, holding 2 tasks")
    expect(page.locator("#events")).to_contain_text("Node victim is gone; 2 tasks of it went back")
