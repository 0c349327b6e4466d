"""The verdict must be able to fail: each kind of damage, made by hand, is found and named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.chaos.evidence.ledger import Publish, Run
from tests.chaos.evidence.verdict import EVERYBODY, GRACE, Evidence, Hit, Loss, judge
from tests.chaos.run.plan import Kind
from tests.chaos.scenarios.failover import lost_for_good, outcomes

ACKED = Publish("t", asked=1.0, acked=1.1)
DONE = Run("t", "n0", 10, start=2.0, end=3.0)
CUT_SHORT = Run("t", "n0", 10, start=2.0, end=None)
AGAIN = Run("t", "n1", 20, start=6.0, end=7.0)


def _kill(node: str = "n0", at: float = 2.5, kind: Kind = Kind.KILL_NODE, **more: object) -> Hit:
    return Hit(kind, node, at, at, slots=1, **more)  # type: ignore[arg-type]


def test_a_task_with_an_end_is_executed() -> None:
    """Broken if a run that went well is reported as a failure."""
    verdict = judge(Evidence([ACKED], [DONE], []))
    assert (verdict.published, verdict.executed, verdict.failures()) == (1, 1, [])


@pytest.mark.parametrize("runs", [[], [CUT_SHORT]], ids=["never started", "never ended"])
def test_an_acknowledged_task_without_an_end_is_lost(runs: list[Run]) -> None:
    """Broken if chaos loses tasks and says that it lost none."""
    verdict = judge(Evidence([ACKED], runs, [_kill()]))
    assert verdict.lost == ("t",)
    assert verdict.failures() == ["1 acknowledged tasks lost: t"]


def test_a_task_that_redis_still_has_is_stuck_not_lost() -> None:
    """Broken if a task that only waits is called lost, or one that waits for ever is fine."""
    verdict = judge(Evidence([ACKED], [], [], left={"t": "waiting"}))
    assert (verdict.lost, verdict.stuck) == ((), ("t",))
    assert verdict.failures()


def test_a_task_that_was_given_up_is_neither_lost_nor_stuck() -> None:
    """Broken if a task that an operator can requeue is called lost."""
    verdict = judge(Evidence([ACKED], [CUT_SHORT], [_kill()], left={"t": "dead"}))
    assert (verdict.lost, verdict.stuck, verdict.dead) == ((), (), ("t",))


def test_a_publish_that_never_returned_promises_nothing() -> None:
    """Broken if we are blamed for a task whose producer was never told that it is safe."""
    verdict = judge(Evidence([Publish("t", 1.0, None)], [], []))
    assert (verdict.published, verdict.failures()) == (0, [])


@pytest.mark.parametrize("first", [DONE, CUT_SHORT], ids=["ended", "cut short"])
def test_a_duplicate_without_a_fault_is_unexplained(first: Run) -> None:
    """Broken if a task that runs twice for no reason passes."""
    verdict = judge(Evidence([ACKED], [first, AGAIN], []))
    assert verdict.unexplained == ("t",)
    assert verdict.failures() == ["1 unexplained duplicates: t"]


def test_a_kill_explains_the_duplicate_of_what_it_cut_short() -> None:
    """Broken if the second run of what a kill cut short, which is our promise, is a failure."""
    verdict = judge(Evidence([ACKED], [CUT_SHORT, AGAIN], [_kill()]))
    assert (verdict.duplicates, verdict.finished_twice, verdict.failures()) == (1, 0, [])
    assert verdict.by_kind == {Kind.KILL_NODE: 1}
    assert [(kill.busy, kill.duplicates, kill.recovery) for kill in verdict.kills] == [(1, 1, (3.5,))]


@pytest.mark.parametrize(
    "hit",
    [
        _kill(node="n9"),
        _kill(at=3.0 + GRACE + 0.1),
        _kill(at=2.0 - GRACE - 0.1),
        _kill(kind=Kind.KILL_CHILD, pid=11),
        _kill(kind=Kind.TERM),
        _kill(kind=Kind.JOIN),
    ],
    ids=["other node", "long after", "long before", "other child", "SIGTERM", "join"],
)
def test_a_fault_elsewhere_explains_nothing(hit: Hit) -> None:
    """Broken if any fault at all excuses any duplicate."""
    assert judge(Evidence([ACKED], [DONE, AGAIN], [hit])).unexplained == ("t",)


def test_a_fault_after_the_second_start_is_not_its_cause() -> None:
    """Broken if a fault excuses what was there before it."""
    both = [Run("t", "n0", 10, 2.0, 3.0), Run("t", "n1", 20, 3.1, 3.2)]
    assert judge(Evidence([ACKED], both, [_kill(at=3.5)])).unexplained == ("t",)


@pytest.mark.parametrize(
    ("held", "undisturbed"),
    [(frozenset({"t"}), ((), (2.0,))), (frozenset(), ((3.5,), ()))],
    ids=["its", "others"],
)
def test_a_task_whose_heir_is_killed_counts_from_the_last_kill(
    held: frozenset[str], undisturbed: tuple[tuple[float, ...], ...]
) -> None:
    """Broken if two kills in a row are measured as one slow recovery."""
    hits = [_kill(), _kill("n1", at=4.0, held=held)]
    kills = judge(Evidence([ACKED], [CUT_SHORT, AGAIN], hits)).kills
    assert kills[0].recovery == (3.5,)
    assert tuple(kill.undisturbed for kill in kills) == undisturbed


def test_one_kill_explains_one_more_start_not_two() -> None:
    """Broken if one kill excuses any number of runs."""
    third = Run("t", "n2", 30, 8.0, 9.0)
    assert judge(Evidence([ACKED], [CUT_SHORT, AGAIN, third], [_kill()])).unexplained == ("t",)


def test_a_paused_node_that_ends_its_task_late_is_explained() -> None:
    """Broken if what a fenced node ends after its pause is a failure, although nothing could stop it."""
    late = Run("t", "n0", 10, start=2.0, end=9.0)
    pause = Hit(Kind.PAUSE, "n0", 2.5, 8.0)
    verdict = judge(Evidence([ACKED], [late, AGAIN], [pause]))
    assert (verdict.finished_twice, verdict.failures()) == (1, [])


def test_a_cut_explains_a_publish_that_was_sent_twice() -> None:
    """Broken if a producer that rightly tried again after a cut is a failure."""
    runs = [Run("t", "n0", 10, 20.0, 21.0), Run("t", "n1", 20, 22.0, 23.0)]
    cut = Hit(Kind.CUT, EVERYBODY, 1.05, 1.05)
    assert judge(Evidence([ACKED], runs, [cut])).failures() == []
    assert judge(Evidence([ACKED], runs, [_kill(node=EVERYBODY, at=1.05)])).unexplained == ("t",)


def test_a_lease_that_ran_out_by_itself_is_counted_and_explains() -> None:
    """Broken if a node that was too slow to renew is either a failure or not told."""
    slow = Evidence([ACKED], [DONE, AGAIN], [], losses=[Loss("n0", 4.0)], lease=2.0)
    assert (judge(slow).late, judge(slow).failures()) == (1, [])


def test_a_loss_soon_after_a_pause_is_its_doing_and_the_node_was_fenced() -> None:
    """Broken if a node that was paused on purpose is reported as lost for no reason."""
    pauses = [
        Hit(Kind.PAUSE, "n0", 2.0, 6.0),
        Hit(Kind.PAUSE, "n0", 60.0, 61.0),
        Hit(Kind.PAUSE, "n1", 2.0, 6.0),
    ]
    verdict = judge(Evidence([], [], pauses, losses=[Loss("n0", 4.0)], lease=2.0))
    assert (verdict.late, verdict.silences, verdict.fenced) == (0, 2, 1)


def test_a_second_kill_is_not_blamed_for_the_first_ones_victim() -> None:
    """Broken if recoveries are counted from the wrong kill, and look quicker than they are."""
    kills = judge(Evidence([ACKED], [CUT_SHORT, AGAIN], [_kill(), _kill(at=30.0)])).kills
    assert [(kill.busy, kill.duplicates) for kill in kills] == [(1, 1), (0, 0)]


def test_recovery_counts_what_was_claimed_but_not_started() -> None:
    """Broken if a task that a dead node had not begun yet is in no figure of recovery."""
    kills = judge(Evidence([ACKED], [AGAIN], [_kill(held=frozenset({"t"}))])).kills
    assert [(kill.busy, kill.recovery) for kill in kills] == [(0, (3.5,))]


@pytest.mark.parametrize("damage", ["leftovers", "over_bound", "not_back"])
def test_what_stays_behind_is_a_failure(damage: str) -> None:
    """Broken if keys that nobody ever removes pass."""
    assert judge(Evidence([], [], [], **{damage: ("something",)})).failures()  # type: ignore[arg-type]


def test_what_replication_lost_is_told_from_what_the_new_primary_lost() -> None:
    """Broken if we are blamed for what Redis's replication lost, or it hides what we lost."""
    long_before, later = Publish("s", asked=0.1, acked=0.2), Publish("u", asked=9.0, acked=9.1)
    run = Run("v", "n0", 10, 9.0, 9.5)
    published = [long_before, ACKED, later, Publish("v", 8.0, 8.1)]
    evidence = Evidence(published, [run], [Hit(Kind.FAILOVER, EVERYBODY, 1.5, 5.0)])
    [cost] = outcomes(evidence)
    assert (cost.promoted, cost.resumed, cost.unreplicated) == (3.5, 8.0, ("t",))
    assert lost_for_good(evidence) == ["s", "u"]


def test_a_crash_may_forget_its_last_second_and_no_more() -> None:
    """Broken if a crash of the server excuses losses that its disk had."""
    early, late = Publish("early", 0.1, 0.9), Publish("late", 0.2, 1.1)
    crash = Hit(Kind.CRASH_REDIS, EVERYBODY, 2.0, 2.5, forgot=1.0)
    verdict = judge(Evidence([early, late], [], [crash]))
    assert (verdict.lost, verdict.forgotten) == (("early",), ("late",))
    assert judge(Evidence([late], [], [replace(crash, forgot=0.0)])).lost == ("late",)


def test_a_forgotten_settlement_explains_that_a_task_ran_again() -> None:
    """Broken if a server that forgot its last second makes a failure of each task it forgot the end of."""
    again = Run("t", "n1", 20, start=7.0, end=7.1)
    crash = Hit(Kind.CRASH_REDIS, EVERYBODY, 3.0 + GRACE + 0.9, 6.0, forgot=1.0)
    assert judge(Evidence([ACKED], [DONE, again], [crash])).failures() == []
    assert judge(Evidence([ACKED], [DONE, again], [replace(crash, forgot=0.0)])).unexplained == ("t",)


def test_a_planned_kill_that_hit_nobody_is_a_failure() -> None:
    """Broken if a run without a single kill passes as chaos."""
    verdict = judge(Evidence([], [], [_kill()], planned=2, skipped=(Kind.KILL_CHILD,)))
    assert verdict.failures() == [
        "1 faults found nobody to hit: kill-child",
        "only 1 of 2 planned SIGKILLs hit somebody",
    ]
