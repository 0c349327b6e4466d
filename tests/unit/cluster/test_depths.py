"""What ``queues`` shows rests on reading other people's messages without trusting them."""

import json

import pytest

from switchyard.cluster.depths import can_run, published_at, shared_lists
from switchyard.cluster.keys import Keys
from switchyard.models import Node, NodeState, Selector


def test_the_age_of_a_task_comes_from_its_timestamp() -> None:
    """Every queue would show an unknown age."""
    assert published_at(json.dumps({"properties": {"timestamp": 12.5}}).encode()) == 12.5


@pytest.mark.parametrize(
    "message",
    [
        None,
        b"",
        b"\xff\xfe not json",
        b"[1, 2]",
        b"7",
        b"{}",
        b'{"properties": null}',
        b'{"properties": {"timestamp": "noon"}}',
        b'{"properties": {"timestamp": true}}',
        b'{"properties": {"timestamp": NaN}}',
    ],
)
def test_a_message_without_a_usable_timestamp_has_no_age(message: bytes | None) -> None:
    """One stock producer, or one piece of garbage on a queue, would break the whole overview."""
    assert published_at(message) is None


def test_only_a_node_that_is_up_and_serves_and_matches_can_run_a_task() -> None:
    """Tasks that nobody will ever run would not be reported as stranded."""
    gpu = Selector(labels=(("gpu", "h100"),))
    fit = Node("n1", queues=frozenset({"q"}), labels={"gpu": "h100"})
    assert can_run([fit], "q", gpu)
    assert not can_run([fit], "other", gpu)
    assert not can_run([Node("n2", queues=frozenset({"q"}))], "q", gpu)
    drained = Node("n3", NodeState.DRAINING, queues=frozenset({"q"}), labels={"gpu": "h100"})
    assert not can_run([drained], "q", gpu)


def test_the_lists_of_a_queue_are_kombus() -> None:
    """Tasks with a priority, or on a broker with a key prefix, would not be counted."""
    lists = shared_lists(Keys(global_prefix="shop-"), "q")
    assert lists == ["shop-q", "shop-q\x06\x163", "shop-q\x06\x166", "shop-q\x06\x169"]
