"""Lists that a node leaves alone for a while."""

from __future__ import annotations

from switchyard.cluster.avoided import FIRST_S, LISTS_MAX, MOST_S, Avoided


def test_a_list_is_left_alone_for_longer_each_time_and_then_tried_again() -> None:
    """Broken if a claim that is given back is claimed again at once, or never again."""
    now = [0.0]
    avoided = Avoided(lambda: now[0])
    assert avoided.add("a", "gives back")
    assert avoided.without([("a", "b"), ("a",)]) == [("b",), ()]
    now[0] = FIRST_S
    assert avoided.without([("a", "b")]) == [("a", "b")]
    assert not avoided.add("a", "gives back")
    assert str(avoided.complaint) == "gives back"
    now[0] = 2 * FIRST_S
    assert avoided.without([("a",)]) == [()]
    now[0] += MOST_S + 2
    assert avoided.without([("a",)]) == [("a",)]
    assert not avoided


def test_a_cancelled_consumer_is_nothing_to_complain_of() -> None:
    """Broken if check calls it a problem that a queue was left."""
    avoided = Avoided(lambda: 0.0)
    avoided.add("a", "")
    assert avoided.without([("a",)]) == [()]
    assert avoided.complaint == ""


def test_it_remembers_so_many_lists_and_no_more() -> None:
    """Broken if a node's memory grows with the names of strange lists."""
    avoided = Avoided(lambda: 0.0)
    for i in range(LISTS_MAX + 10):
        avoided.add(str(i), "")
    groups = avoided.without([tuple(str(i) for i in range(LISTS_MAX + 10))])
    assert groups == [tuple(str(i) for i in range(10))]
