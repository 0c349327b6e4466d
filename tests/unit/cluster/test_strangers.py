"""Nobody else's bytes, whatever they are, make a reader raise what its callers do not expect."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard.cluster.as_json import summarize
from switchyard.cluster.depths import published_at
from switchyard.cluster.keys import Keys
from switchyard.cluster.replies.answers import (
    NODE_FIELDS,
    Renewal,
    read_counters,
    read_dead,
    read_event,
    read_node,
    read_placed,
)
from switchyard.cluster.replies.strangers import read_rows
from switchyard.cluster.wait_lists import WaitLists, read_wait_lists
from switchyard.models import DeadTask, Node, Selector

SOUND = {
    "state": b"up",
    "slots": b"4",
    "limit": b"4",
    "queues": b'["q"]',
    "labels": b'{"gpu": "h100"}',
    "load": b'{"cpu": 1.5, "runtimes": {"t": 0.1}}',
    "hostname": b"host",
    "pid": b"7",
    "versions": b'{"celery": "5.7"}',
    "lease": b"5000",
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
).map(lambda value: json.dumps(value).encode())
LOADS = st.dictionaries(
    st.sampled_from(["cpu", "memory", "load1", "active", "done", "runtimes", "settled", "renewal", "cache"]),
    st.none() | st.integers() | st.floats() | st.text(max_size=3) | st.dictionaries(st.text(), st.floats()),
).map(lambda value: json.dumps(value).encode())
BYTES = st.none() | st.binary(max_size=20) | JSON | LOADS | st.just(b"[" * 5000)


def row_of(fields: Mapping[str, bytes | None], name: bytes = b"a") -> list[Any]:
    """A row of a snapshot."""
    return [name, b"9000", b"up", 0, 0, [fields.get(field) for field in NODE_FIELDS]]


def read_nodes(*rows: list[Any]) -> tuple[list[Node], list[str]]:
    """The nodes of these rows, and what is told of the others."""
    found = read_rows("node", ((row[0], row) for row in rows), lambda row: read_node(5000, row))
    return found.read, [f"{stranger.what}: {stranger.why}" for stranger in found.strange]


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("state", b"asleep"),
        ("slots", b"2.5"),
        ("slots", b"many"),
        ("limit", b"1e3"),
        ("queues", b'{"q": 1}'),
        ("queues", b"[1]"),
        ("queues", b'["q'),
        ("labels", b'["gpu"]'),
        ("labels", b'{"gpu": 1}'),
        ("load", b"[]"),
        ("load", b'{"cpu": "busy"}'),
        ("load", b'{"runtimes": [1, 2]}'),
        ("load", b'{"cpu": NaN}'),
        ("load", b"{" * 5000),
        ("hostname", b"\xff\xfe"),
        ("pid", b"-"),
        ("versions", b"null"),
        ("lease", b"soon"),
    ],
)
def test_a_node_that_says_what_none_of_ours_does_is_skipped_and_named(field: str, said: bytes) -> None:
    """Broken if one strange node made every producer's call raise."""
    nodes, strangers = read_nodes(row_of(SOUND), row_of({**SOUND, field: said}, b"odd"))
    assert [node.name for node in nodes] == ["a"]
    assert len(strangers) == 1
    assert strangers[0].startswith("node odd: ")
    assert len(strangers[0]) < 200
    assert "\n" not in strangers[0]


def test_a_node_whose_name_is_no_text_is_named_all_the_same() -> None:
    """Broken if check itself failed on it."""
    nodes, strangers = read_nodes(row_of(SOUND, b"\xff"))
    assert nodes == []
    assert strangers[0].startswith(r"node \xff: UnicodeDecodeError")


@given(st.dictionaries(st.sampled_from(NODE_FIELDS), BYTES), st.binary(max_size=5))
def test_any_bytes_are_a_node_or_a_stranger(fields: dict[str, bytes | None], name: bytes) -> None:
    """Broken if some other input did what those above did; or if a node were read that can't be ranked."""
    nodes, strangers = read_nodes(row_of({**SOUND, **fields}, name))
    assert len(nodes) + len(strangers) == 1
    for node in nodes:
        assert node.free <= node.slots
        assert all(isinstance(queue, str) for queue in node.queues)
        assert node.load.cpu * 2 >= node.load.cpu or node.load.cpu < 0
        assert sum(node.load.runtimes.values()) is not None
        json.dumps(dict(node.labels))


ROWS = st.dictionaries(st.binary(max_size=8) | st.sampled_from([b"kind", b"node", b"count", b"at"]), BYTES)


@pytest.mark.parametrize("reader", [lambda row: read_event(b"1-1", row), lambda row: read_dead("7", row)])
@given(fields=ROWS)
def test_any_hash_is_read_or_a_stranger(reader: Callable[[Any], Any], fields: dict[bytes, Any]) -> None:
    """Broken if one odd event or dead task hid all others from operators."""
    found = read_rows("row", [(b"x", fields)], reader)
    assert len(found.read) + len(found.strange) == 1


@given(ROWS)
def test_any_hash_is_counters(fields: dict[bytes, Any]) -> None:
    """Broken if one odd field took all metrics away."""
    read_counters(fields)
    assert all(isinstance(count, int) for count in read_placed(fields).values())


@given(st.binary(max_size=12) | JSON)
def test_any_name_of_a_wait_list_is_read_or_a_stranger(name: bytes) -> None:
    """Broken if one odd key stopped the heartbeat of every node."""
    keys = Keys()
    for key in (name, keys.wait("q", "").encode() + name, keys.wait("q\x06\x16", "").encode() + name):
        found = read_wait_lists(keys, [key])
        assert len(found.read) + len(found.strange) == 1


def test_a_wait_list_that_asks_for_more_than_we_know_is_not_ours() -> None:
    """Broken if a node took tasks of a later version's wait list that are not for it."""
    keys = Keys()
    mine = keys.wait("q", Selector(labels=(("gpu", "h100"),)).dumps())
    later = keys.wait("q", '{"labels": {}, "node": null, "knows": "abc"}')
    lists = WaitLists(keys, "a", {"gpu": "h100"})
    assert len(lists.learn(Renewal(False, waiting=(mine, later, "junk")))) == 2
    assert lists.mine({"q"}) == ((0, mine),)


@given(BYTES)
def test_any_message_has_an_age_or_none_and_a_summary(message: bytes | None) -> None:
    """Broken if garbage on one queue took `queues` or `dead list` away."""
    assert published_at(message) is None
    assert summarize(Keys(), DeadTask("1", "q", message or b"", "why", 0.0)).queue == "q"
