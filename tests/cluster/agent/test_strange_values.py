"""What strange names and values in Redis do to nodes and producers: nothing, beyond being named."""

from __future__ import annotations

from pathlib import Path

import pytest
from celery import Celery

import switchyard
from tests.support.nodes import is_up, state_of, worker
from tests.support.servers import Server
from tests.support.waiting import wait_until

LEASE = 1.0


def test_a_list_in_our_key_space_that_is_no_wait_list_stops_nobody(
    app: Celery, clean_valkey: Server, tmp_path: Path
) -> None:
    """Broken if one message to a queue with a name like our keys ends failure detection in the cluster."""
    keys, client = state_of(clean_valkey).keys, clean_valkey.client()
    strange = keys.prefix + "x"
    client.lpush(strange, "m")
    with worker(clean_valkey, tmp_path, lease=LEASE) as node:
        client.zadd(keys.waiting, {strange: state_of(clean_valkey).now_ms()})
        wait_until(lambda: strange in node.text(), "the node names it")
        assert app.tasks["add"].apply_async((1, 1), placement={"node": "n1"}).get(timeout=60) == 2
        assert is_up(clean_valkey, "n1")


def test_a_node_that_cannot_be_reaped_hides_no_other(
    app: Celery, clean_valkey: Server, tmp_path: Path
) -> None:
    """Broken if one key of the wrong type keeps the tasks of every node that dies after it."""
    state = state_of(clean_valkey)
    for number in range(12):
        state.client.set(state.keys.claims(f"bad{number}"), "no hash")
        state.client.hset(state.keys.node(f"bad{number}"), mapping={"epoch": "1", "queues": "[]"})
        state.client.zadd(state.keys.nodes, {f"bad{number}": number + 1})
    with worker(clean_valkey, tmp_path, "victim", lease=LEASE, ready=False) as victim:
        wait_until(lambda: " ready." in victim.text(), "the victim is ready", 40)
        result = app.tasks["nap"].delay(0.5)
        wait_until(lambda: state.client.hlen(state.keys.claims("victim")), "it is claimed")
        victim.kill()
    with worker(clean_valkey, tmp_path, "heir", lease=LEASE, ready=False) as heir:
        assert result.get(timeout=60) == 0.5
        assert "bad" in heir.text()


@pytest.mark.parametrize("placement", [{}, {"node": "n1"}])
def test_a_queue_with_a_name_of_ours_is_refused_at_the_call(app: Celery, placement: dict[str, str]) -> None:
    """Broken if a user's task is written over what the cluster keeps."""
    with pytest.raises(switchyard.ConfigurationError, match="key space"):
        app.tasks["add"].apply_async((1, 1), queue="{switchyard}:x", placement=placement)
