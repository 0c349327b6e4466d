"""Rates and the last 15 minutes, from one look after the other."""

from __future__ import annotations

import pytest

from switchyard.flower.history import POINTS, STEP, History, Track
from switchyard.flower.snapshot import Rates
from switchyard.flower.speed import speeds
from switchyard.models import Load, Node, NodeState, QueueDepth


def node(name: str = "a", pid: int = 1, **settled: int) -> Node:
    return Node(name, pid=pid, load=Load(settled=settled))


def run(history: History, looks: list[tuple[int, Node | None]]) -> Rates:
    """A look a second at queue ``q``: its depth, and the node that settles; the last rates."""
    rates = {}
    for second, (depth, seen) in enumerate(looks):
        rates = history.add([seen] if seen else [], [QueueDepth("q", waiting=depth)], 1000.0 + second)
    return rates["q"]


def test_what_came_in_is_what_went_out_and_what_the_queue_has_grown_by() -> None:
    """Tasks of stock producers would not count, since nobody counts them when they come in."""
    looks: list[tuple[int, Node | None]] = [(10 * second, node(q=5 * second)) for second in range(6)]
    assert run(History(), looks) == Rates(into=15.0, out=5.0)


def test_the_first_look_is_where_counting_starts() -> None:
    """A dashboard that is started would show all tasks of a node's life as one burst."""
    assert run(History(), [(100, node(q=5000)), (100, node(q=5000))]) == Rates(0.0, 0.0)


def test_a_node_that_joins_later_counts_from_nothing() -> None:
    """The first tasks of each new node would be missing."""
    assert run(History(), [(0, None), (0, node(q=3))]) == Rates(into=3.0, out=3.0)


@pytest.mark.parametrize("restarted", [node(pid=2, q=40), node(pid=1, q=2)])
def test_a_restarted_node_counts_from_nothing_again(restarted: Node) -> None:
    """A restart would show as a negative rate, or hide what the node has done since."""
    rates = run(History(), [(0, node(q=30)), (0, restarted)])
    assert rates.out == restarted.load.settled["q"]


def test_what_a_lost_node_did_stays_counted() -> None:
    """When a node goes, all tasks that it ever did would be taken away from the rate."""
    assert run(History(), [(0, node(q=0)), (0, node(q=10)), (0, None)]).out == 5.0


def test_a_purge_is_not_negative_traffic() -> None:
    """The chart would go below zero."""
    assert run(History(), [(1000, node()), (0, node())]) == Rates(0.0, 0.0)


def test_rates_are_those_of_the_last_ten_seconds() -> None:
    """A burst would be seen for as long as the dashboard runs."""
    history = History()
    run(history, [(0, node(q=0)), (0, node(q=1000))])
    late = [history.add([node(q=1000)], [QueueDepth("q")], 1100.0 + second)["q"] for second in range(3)]
    assert late[-1] == Rates(0.0, 0.0)


def test_a_point_is_the_mean_of_its_step_and_a_gap_is_none() -> None:
    """Fifteen minutes would be nine hundred points, and an outage would be drawn as a straight line."""
    track = Track()
    for at, value in ((0, 1), (STEP / 2, 3), (4 * STEP, 8)):
        track.add(value, at)
    series = track.series()
    assert len(series) == POINTS
    assert series[-5:] == (2.0, None, None, None, 8.0)
    assert set(series[:-5]) == {None}


def test_a_track_keeps_fifteen_minutes_and_no_more() -> None:
    """The dashboard would grow for as long as it runs."""
    track = Track()
    for step in range(3 * POINTS):
        track.add(step, step * STEP)
    assert track.series() == tuple(float(v) if v < 100 else v for v in range(2 * POINTS, 3 * POINTS))
    track.add(1, 1e9)
    assert track.series() == (*(None,) * (POINTS - 1), 1.0)


def test_names_that_are_gone_are_forgotten() -> None:
    """Each worker with a generated name would stay in memory for ever."""
    history = History()
    history.add([node("old")], [QueueDepth("old")], 0.0)
    history.add([node("new")], [QueueDepth("new")], 1.0)
    assert (set(history.nodes()), set(history.queues())) == ({"new"}, {"new"})


def test_speed_compares_nodes_on_the_tasks_that_both_have_run() -> None:
    """A node that runs the long tasks would seem slow."""

    def fast(name: str, state: NodeState = NodeState.UP, **runtimes: float) -> Node:
        return Node(name, state, load=Load(runtimes=runtimes))

    found = speeds(
        [
            fast("quick", index=1.0, train=100.0),
            fast("slow", index=3.0, own=5.0),
            fast("alone", other=1.0),
            fast("gone", NodeState.LOST, index=1.0),
        ]
    )
    assert found == {"quick": 2.0, "slow": 0.67}


def test_a_lost_node_has_no_figures() -> None:
    """The line would go on as if the node were still as busy as when it died."""
    history = History()
    history.add([Node("a", slots=2, claims=1, load=Load(cpu=50))], [], 0.0)
    history.add([Node("a", NodeState.LOST, slots=2, claims=1, load=Load(cpu=50))], [], STEP)
    trend = history.nodes()["a"]
    assert (trend.busy[-2:], trend.cpu[-2:]) == ((50.0, None), (50.0, None))
