"""From rule, caller's wish and snapshot to a placement."""

from __future__ import annotations

from typing import Any

import pytest

from switchyard.errors import ConfigurationError
from switchyard.models import Node, Placed, Selector
from switchyard.placement.options import placement_options
from switchyard.placement.placer import CANDIDATES, Placer
from switchyard.placement.snapshot import Cluster
from switchyard.settings import Rule, Settings

NODES = [
    Node("gpu", slots=2, limit=2, queues=frozenset(["q"]), labels={"gpu": "h100"}),
    Node("other", slots=2, limit=2, queues=frozenset(["r"])),
    Node("plain", slots=2, limit=2, queues=frozenset(["q", "r"])),
]


def placer(*rules: Rule, **settings: Any) -> Placer:
    return Placer(Settings(rules=rules, **settings))


def test_only_nodes_that_serve_the_queue_are_candidates() -> None:
    """A task would be put into the inbox of a node that can't run it."""
    placing = placer()
    placement = placing.placement(placing.intent("t"), "r", 0, lambda: NODES)
    assert set(placement.candidates) == {"other", "plain"}


def test_labels_filter_before_ranking_and_leave_nobody_rather_than_anybody() -> None:
    """A task for a GPU would run anywhere when no GPU node is up."""
    placing = placer(Rule(task="train.*", labels={"gpu": "h100"}))
    wanted = placing.placement(placing.intent("train.big"), "q", 0, lambda: NODES)
    assert wanted.candidates == ("gpu",)
    nobody = placing.placement(placing.intent("t", {"labels": {"gpu": "b200"}}), "q", 0, lambda: NODES)
    assert nobody.candidates == ()
    assert nobody.selector == Selector(labels=(("gpu", "b200"),))


def test_a_callers_wish_goes_over_the_rule() -> None:
    """A caller could not say more for one task."""
    placing = placer(Rule(task="t", strategy="random", node="gpu"))
    intent = placing.intent("t", {"strategy": "round_robin", "node": "plain", "key": 7})
    assert (intent.strategy, intent.selector.node, intent.key) == ("round_robin", "plain", "7")


def test_the_first_matching_rule_decides() -> None:
    """A catch-all rule at the end would undo the special ones before it."""
    placing = placer(Rule(task="a.*", strategy="random"), Rule(strategy="round_robin"))
    assert placing.intent("a.b").strategy == "random"
    assert placing.intent("z").strategy == "round_robin"


@pytest.mark.parametrize(
    ("strategy", "bounded"), [("least_load", True), ("random", False), ("round_robin", False)]
)
def test_when_full_each_strategy_keeps_its_way_unless_a_rule_says_otherwise(
    strategy: str, bounded: bool
) -> None:
    """Textbook strategies would not be textbook, or `overflow` would do nothing."""
    placing = placer(strategy=strategy)
    plain = placing.placement(placing.intent("t"), "q", 0, lambda: NODES)
    turned = placing.placement(placing.intent("t", {"overflow": not bounded}), "q", 0, lambda: NODES)
    assert (plain.bounded, turned.bounded) == (bounded, not bounded)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"strateggy": "random"}, "strateggy"),
        ({"strategy": "fastest"}, "fastest"),
        ({"labels": "gpu"}, "labels"),
        ({"node": 3}, "node"),
        ({"overflow": "yes"}, "overflow"),
        ("gpu-1", "dict"),
    ],
)
def test_a_placement_that_cannot_work_is_refused_where_it_is_asked_for(options: Any, part: str) -> None:
    """A typo in `placement=` would silently mean the default."""
    with pytest.raises(ConfigurationError, match=part):
        placer().intent("t", options)


def test_a_rule_that_names_an_unknown_strategy_is_refused_at_once() -> None:
    """It would be found when the first such task is sent."""
    with pytest.raises(ConfigurationError, match="fastest"):
        placer(Rule(strategy="fastest"))


def test_a_placement_tries_a_handful_of_nodes() -> None:
    """A publish to 300 nodes would carry 1,200 keys."""
    many = [Node(f"n{i:03}", queues=frozenset(["q"])) for i in range(300)]
    placing = placer()
    assert len(placing.placement(placing.intent("t"), "q", 0, lambda: many).candidates) == CANDIDATES


def test_the_snapshot_is_read_once_per_refresh() -> None:
    """Every publish would cost a second round trip."""
    now = [100.0]
    reads = []

    def read() -> list[Node]:
        reads.append(now[0])
        return NODES

    cluster = Cluster(1.0, clock=lambda: now[0])
    for step in (0.0, 0.5, 0.25, 0.5, 0.5):
        now[0] += step
        cluster.refresh(read)
    assert reads == [100.0, 101.25]


def test_placements_keep_the_snapshot_fresh() -> None:
    """A busy producer would send everything to the node that was free at the last snapshot."""
    placing = placer()
    placing.cluster.refresh(lambda: NODES)
    placing.cluster.learn(Placed("plain", 2))
    placing.cluster.expect(["gpu"])
    outstanding = {node.name: node.outstanding for node in placing.cluster.serving("q", Selector())}
    assert outstanding == {"gpu": 1, "plain": 2}


def test_without_overflow_the_best_of_the_full_nodes_gets_the_task() -> None:
    """`overflow = false` with least_load would do nothing when every node is busy."""
    full = [
        Node("a", slots=1, limit=1, claims=3, queues=frozenset("q")),
        Node("b", limit=1, claims=1, queues=frozenset("q")),
    ]
    placing = placer()
    kept = placing.placement(placing.intent("t", {"overflow": False}), "q", 0, lambda: full)
    assert (kept.candidates, kept.bounded) == (("b", "a"), False)
    left = placing.placement(placing.intent("t"), "q", 0, lambda: full)
    assert (left.candidates, left.bounded) == ((), True)


def test_a_third_partys_strategy_need_only_rank() -> None:
    """A class with the one method that we ask for would fail inside apply_async."""

    class Mine:
        def rank(self, task: Any, nodes: Any) -> Any:
            return nodes

    placing = placer()
    placing._strategies["mine"] = Mine()
    assert placing.placement(placing.intent("t", {"strategy": "mine"}), "r", 0, lambda: NODES).bounded


def test_a_typed_call_says_the_same_as_a_plain_one() -> None:
    """Broken if what type checkers accept is not what ``apply_async`` takes."""
    assert placement_options(node="a", key=7) == {"placement": {"node": "a", "key": 7}}
    assert placer().intent("t", placement_options(node="a", key=7)["placement"]).key == "7"


def test_an_unknown_option_is_named_with_the_nearest() -> None:
    """Broken if a misspelt option leaves its writer to compare lists of words."""
    with pytest.raises(ConfigurationError, match=r"unknown 'lables'; did you mean 'labels'\?"):
        placer().intent("t", {"lables": {}})
