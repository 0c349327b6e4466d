"""The Queues, Dead and Timeline pages."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

from tests.browser.stage import HOSTILE, Stage, bury
from tests.support.nodes import state_of


def row(page: Page, text: str) -> Locator:
    """The row that has this text."""
    return page.locator("tbody tr").filter(has_text=text)


def test_every_queue_is_there(stage: Stage, page: Page) -> None:
    """A queue that no node serves any more would keep its tasks where nobody looks."""
    stage.app.send_task("add", (1, 2), queue="forsaken")
    stage.app.send_task("add", (1, 2), queue="celery", placement={"labels": {"gpu": "h100"}})
    page.goto(f"{stage.dashboard.url}/queues")
    forsaken = row(page, "forsaken")
    expect(forsaken).to_contain_text("no node")
    expect(forsaken.get_by_role("cell").first).to_have_text("1")
    expect(row(page, "celery")).to_contain_text("1 task for gpu=h100: no node may run it")
    expect(page.get_by_role("table", name="Every queue")).to_be_visible()
    state_of(stage.server).purge(["forsaken"])
    expect(forsaken.get_by_role("cell").first).to_have_text("0")


def test_the_charts_show_the_chosen_queue(stage: Stage, page: Page) -> None:
    """One busy queue would hide all the others."""
    for _ in range(2):
        stage.app.send_task("add", (1, 2), queue="charted")
    page.goto(f"{stage.dashboard.url}/queues")
    not_started = page.locator("#charts figure").filter(has_text="Tasks not started").locator("strong")
    chosen = page.get_by_label("Queue shown in the charts")
    expect(chosen.locator("option", has_text="charted")).to_have_count(1)
    chosen.select_option("charted")
    expect(not_started).to_have_text("2")
    chosen.select_option(HOSTILE)
    expect(not_started).to_have_text("0")
    assert page.evaluate("window.pwned") is None
    state_of(stage.server).purge(["charted"])


def test_requeue_after_a_question(stage: Stage, page: Page) -> None:
    """A mended task could not be run, or a slip of the mouse would run a broken one."""
    receipt = bury(stage.app, stage.server, "add", "as asked")
    page.goto(f"{stage.dashboard.url}/dead")
    requeue = page.get_by_role("button", name=f"Requeue add (receipt {receipt})", exact=True)
    requeue.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Put add")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert receipt in state_of(stage.server).dead_receipts()
    requeue.click()
    dialog.get_by_role("button", name="Requeue").click()
    expect(row(page, "as asked")).to_have_count(0)
    assert receipt not in state_of(stage.server).dead_receipts()
    assert state_of(stage.server).purge(["burials"]) == 1


def test_the_dead_are_found_by_what_they_are_like(stage: Stage, page: Page) -> None:
    """Among thousands nobody would find the task that is meant, nor come to the older ones."""
    receipt = bury(stage.app, stage.server, "add", "as asked")
    other = bury(stage.app, stage.server, "noop", "another reason")
    page.goto(f"{stage.dashboard.url}/dead")
    expect(row(page, "another reason")).to_be_visible()
    page.get_by_label("Reason").fill("AS ASKED")
    expect(row(page, "another reason")).to_have_count(0)
    expect(row(page, "as asked")).to_be_visible()
    expect(page.locator("#more")).to_have_text("1 listed of 2 tasks given up on.")
    page.get_by_label("Task", exact=True).fill("nobody's")
    expect(page.locator("#empty")).to_have_text("None of those looked at is like that.")
    assert state_of(stage.server).discard_each([receipt, other]) == 2


def test_one_task_whole_with_hostile_values_then_discard(stage: Stage, page: Page) -> None:
    """Whoever may send a task could run scripts in the browser of the operator who looks at it."""
    receipt = bury(stage.app, stage.server, HOSTILE, HOSTILE)
    page.goto(f"{stage.dashboard.url}/dead")
    found = row(page, HOSTILE)
    expect(found).to_contain_text(HOSTILE)
    found.get_by_role("link").click()
    about = page.locator("#about")
    expect(about).to_contain_text("burials")
    expect(about.get_by_label("Message")).to_contain_text('"headers"')
    page.get_by_role("button", name="Discard").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"Throw {HOSTILE} (receipt {receipt}) away for good?")
    dialog.get_by_role("button", name="Discard").click()
    expect(page.locator("#gone")).to_be_visible()
    assert state_of(stage.server).dead_receipts() == []
    assert page.evaluate("window.pwned") is None


def test_a_read_only_dashboard_lists_the_dead_without_buttons(stage: Stage, page: Page) -> None:
    """Who may only look would be offered what is then refused."""
    receipt = bury(stage.app, stage.server, "add", "to be looked at")
    page.goto(f"{stage.read_only}/dead")
    expect(row(page, "to be looked at")).to_be_visible()
    expect(page.locator("#sy-page button")).to_have_count(0)
    assert state_of(stage.server).discard(receipt)


def test_the_timeline_tells_what_happened(stage: Stage, page: Page) -> None:
    """Nobody could say in which order things went wrong."""
    page.goto(f"{stage.dashboard.url}/timeline")
    events = page.get_by_role("region", name="Cluster events, the latest first")
    expect(events).to_contain_text("Node b joined the cluster")
    expect(events).to_contain_text(f"Node {HOSTILE} joined the cluster")
    state_of(stage.server).drain("b")
    expect(events.get_by_role("listitem").first).to_contain_text("Node b drains")
    state_of(stage.server).resume("b")
    expect(events.get_by_role("listitem").first).to_contain_text("Node b takes tasks again")
    assert page.evaluate("window.pwned") is None
