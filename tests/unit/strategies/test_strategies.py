"""Strategies rank as their names promise."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from importlib.metadata import EntryPoint

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard import strategies
from switchyard.errors import ConfigurationError
from switchyard.models import Load, Node, Task

TASK = Task("t", "q")
NODES = [Node(name, slots=4, limit=4, queues=frozenset(["q"])) for name in ("a", "b", "c")]

#: 99.9 % quantile of chi-square with two degrees of freedom: one run in a thousand would fail by chance,
#: so the draws are seeded by nothing and the bound is the 99.9999 % quantile instead.
CHI_SQUARE_BOUND = 27.63


def chi_square(counts: Counter[str], draws: int, nodes: int) -> float:
    expected = draws / nodes
    return sum((counts[node.name] - expected) ** 2 / expected for node in NODES)


def test_round_robin_is_exactly_even() -> None:
    """300 tasks on 3 nodes would not be 100/100/100."""
    strategy = strategies.make("round_robin")
    firsts = Counter(strategy.rank(TASK, NODES)[0].name for _ in range(300))
    assert firsts == {"a": 100, "b": 100, "c": 100}


def test_round_robin_takes_turns_per_queue() -> None:
    """Two queues used in alternation would each see every second node only."""
    strategy = strategies.make("round_robin")
    seen: dict[str, list[str]] = {"q": [], "r": []}
    for _ in range(3):
        for queue, names in seen.items():
            names.append(strategy.rank(Task("t", queue), NODES)[0].name)
    assert seen == {"q": ["a", "b", "c"], "r": ["a", "b", "c"]}


def test_random_passes_a_chi_square_test() -> None:
    """The draw would favour some nodes."""
    strategy = strategies.make("random")
    counts = Counter(strategy.rank(TASK, NODES)[0].name for _ in range(3000))
    assert chi_square(counts, 3000, 3) < CHI_SQUARE_BOUND


def test_least_load_puts_full_nodes_last() -> None:
    """A task would be sent to a node that has no room while another has."""
    full = replace(NODES[0], claims=4)
    ranked = strategies.make("least_load").rank(TASK, [full, NODES[1]])
    assert [node.name for node in ranked] == ["b", "a"]


def test_least_load_compares_outstanding_per_slot() -> None:
    """A big node would be treated like a small one."""
    small, big = Node("small", slots=2, limit=2, claims=1), Node("big", slots=16, limit=16, claims=4)
    ranked = strategies.make("least_load").rank(TASK, [small, big])
    assert [node.name for node in ranked] == ["big", "small"]


def test_least_load_prefers_the_node_measured_faster_for_this_task() -> None:
    """Idle slow machines would get as much as idle fast ones."""
    slow = replace(NODES[0], load=Load(runtimes={"t": 2.0}))
    fast = replace(NODES[1], load=Load(runtimes={"t": 0.5}))
    assert strategies.make("least_load").rank(TASK, [slow, fast])[0].name == "b"


def test_least_load_then_looks_at_the_cpu() -> None:
    """A machine busy with something else would be as good as an idle one."""
    busy, calm = replace(NODES[0], load=Load(cpu=95)), replace(NODES[1], load=Load(cpu=5))
    assert strategies.make("least_load").rank(TASK, [busy, calm])[0].name == "b"


def test_least_load_picks_randomly_among_near_equals() -> None:
    """Every producer would herd to the same node until the next snapshot."""
    strategy = strategies.make("least_load")
    counts = Counter(strategy.rank(TASK, NODES)[0].name for _ in range(3000))
    assert chi_square(counts, 3000, 3) < CHI_SQUARE_BOUND


loads = st.builds(
    Node,
    name=st.text("abcdef", min_size=1, max_size=3),
    slots=st.integers(1, 8),
    limit=st.integers(1, 8),
    claims=st.integers(0, 9),
    load=st.builds(Load, cpu=st.floats(0, 100), runtimes=st.dictionaries(st.just("t"), st.floats(0, 1e9))),
)


@given(st.lists(loads, min_size=1, max_size=6, unique_by=lambda node: node.name))
def test_every_strategy_ranks_only_what_it_was_given_and_each_once(nodes: list[Node]) -> None:
    """A task could be placed on a node that may not run it, or tried twice on the same."""
    for name in ("random", "round_robin", "least_load"):
        ranked = strategies.make(name).rank(TASK, nodes)
        assert len({node.name for node in ranked}) == len(ranked)
        assert set(map(id, ranked)) <= set(map(id, nodes))


def test_an_unknown_strategy_is_named_with_the_nearest() -> None:
    """A typo in a rule would be found in production only."""
    with pytest.raises(ConfigurationError, match=r"'least_loaded'.*'least_load'"):
        strategies.make("least_loaded")


def test_a_strategy_that_cannot_be_loaded_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken package of strategies would be told as an application that can't be found."""
    point = EntryPoint("acme", "acme_nope:Strategy", strategies.ENTRY_POINT_GROUP)
    monkeypatch.setattr(strategies, "entry_points", lambda group: [point])
    with pytest.raises(
        ConfigurationError, match=r"'acme' from acme_nope:Strategy can't be loaded.*; mend or"
    ):
        strategies.make("acme")
