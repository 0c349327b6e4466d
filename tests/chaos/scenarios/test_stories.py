"""What the stories call wrong: no server, no process."""

from __future__ import annotations

from tests.chaos.evidence.ledger import Publish, Run
from tests.chaos.evidence.verdict import Evidence
from tests.chaos.scenarios import countdowns, deploy, poison, rolling
from tests.chaos.scenarios.story import Story

PUBLISHES = [Publish("new0", 1.0, 1.1), Publish("poison", 1.0, 1.1)]


def _ran(task: str, end: float | None = 3.0) -> Run:
    return Run(task, "n0", 1, 2.0, end)


def test_a_story_fails_with_its_verdict_and_with_what_is_its_own() -> None:
    """Broken if a story passes although a task was lost, or although what it is about went wrong."""
    lost = Story(Evidence(PUBLISHES, [_ran("new0")], []))
    assert len(lost.failures()) == 1
    assert "lost" in lost.failures()[0]
    kept = Evidence(PUBLISHES, [_ran("new0")], [], left={"poison": "dead"})
    assert Story(kept).failures() == []
    assert Story(kept, ("too late",)).failures() == ["too late"]


def test_only_the_poison_may_be_given_up() -> None:
    """Broken if innocents die with it, or it lives, and the story passes."""
    alone = Evidence(PUBLISHES, [_ran("new0")], [], left={"poison": "dead"})
    assert poison.wrong(alone) == []
    both = Evidence(PUBLISHES, [], [], left={"poison": "dead", "new0": "dead"})
    assert poison.wrong(both) == ["given up: new0, poison, instead of the poison"]
    assert poison.wrong(Evidence(PUBLISHES, [_ran("new0")], [])) == [
        "given up: nothing, instead of the poison"
    ]


def test_a_deploy_must_have_met_old_code_and_lost_nothing() -> None:
    """Broken if the story passes without an old node that a new task came to, or with one that never ran."""
    evidence = Evidence(PUBLISHES, [_ran("new0"), _ran("new1", None)], [])
    assert deploy.wrong(evidence, 1, 1) == []
    assert deploy.wrong(evidence, 2, 1) == ["1 of 2 new tasks never ran"]
    assert len(deploy.wrong(evidence, 1, 0)) == 1


def test_a_countdown_must_not_end_early() -> None:
    """Broken if a task that runs before its time passes."""
    assert countdowns.wrong([0.5, 2.0]) == []
    assert countdowns.wrong([-1.0, 2.0]) == ["1 tasks ran before they were due"]


def test_a_clean_stop_must_not_wait_for_what_does_not_come() -> None:
    """Broken if nodes that take half a minute to end pass."""
    assert rolling.wrong([2.0, 3.0]) == []
    assert rolling.wrong([2.0, 30.0]) == ["1 stops took more than 10 s"]
