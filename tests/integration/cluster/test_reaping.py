"""Reaping a node with very much on it: each step small, the order kept, and nothing forgotten half-way."""

from __future__ import annotations

from typing import Any

import pytest

from switchyard.cluster import state as cluster_state
from tests.support.cluster import Cluster
from tests.support.servers import Server

#: A message as large as some users send them, in bytes.
LARGE = 1_000_000


@pytest.fixture
def cluster(server: Server) -> Cluster:
    return Cluster.on(server)


def hold(cluster: Cluster, name: str, count: int) -> list[str]:
    """A node dies that holds so many claims; their messages in order."""
    cluster.join(name, limit=count)
    messages = [f"{name}{number}" for number in range(count)]
    with cluster.state.client.pipeline(transaction=False) as pipe:
        for message in messages:
            pipe.lpush("q", message)
        pipe.execute()
    for _ in range(0, count, 500):
        cluster.claim(name, 500)
    cluster.expire(name)
    return messages


def claim_all(cluster: Cluster, name: str, count: int) -> list[tuple[str, str]]:
    """Claim so many, in as many steps as their bytes need."""
    claimed: list[tuple[str, str]] = []
    for _ in range(count):
        claimed += cluster.claim(name, count - len(claimed))
    return claimed


def scripts(cluster: Cluster) -> tuple[int, int]:
    """How many scripts the server has run, and for how many us."""
    stats: dict[str, Any] = cluster.state.client.info("commandstats")
    runs = [stats[name] for name in ("cmdstat_evalsha", "cmdstat_eval") if name in stats]
    return sum(run["calls"] for run in runs), sum(run["usec"] for run in runs)


def cost_of_reaping(cluster: Cluster, name: str, count: int) -> float:
    """What reaping a node costs the server, in us a claim."""
    hold(cluster, name, count)
    _, before = scripts(cluster)
    assert cluster.state.reap(name, 5).restored == count
    cost = (scripts(cluster)[1] - before) / count
    cluster.state.client.delete("q", cluster.state.keys.deaths)
    return cost


def test_a_claim_costs_the_same_to_reap_among_many_as_among_few(cluster: Cluster) -> None:
    """Broken if each step reads all that is left: 40,000 claims cost the reaper its own lease."""
    few = min(cost_of_reaping(cluster, name, 1_000) for name in ("a", "b", "c"))
    assert cost_of_reaping(cluster, "d", 15_000) < 6 * few


def test_the_order_is_kept_over_all_steps(cluster: Cluster) -> None:
    """Broken if tasks of a dead node run in another order than they were published in."""
    messages = hold(cluster, "a", 3_210)
    cluster.state.client.lpush("q", "later")
    cluster.state.reap("a", 5)
    assert cluster.shared() == [*messages, "later"]


def test_a_step_of_a_reap_is_bounded_in_bytes(cluster: Cluster) -> None:
    """Broken if one script moves hundreds of MB, for longer than a lease."""
    cluster.join("a", limit=100)
    for number in range(24):
        cluster.place(f"{number:02}" + "x" * LARGE, "a")
    claim_all(cluster, "a", 12)
    cluster.expire("a")
    calls, _ = scripts(cluster)
    assert cluster.state.reap("a", 5).restored == 24
    assert scripts(cluster)[0] - calls >= 12
    assert [message[:2] for message in cluster.shared()] == [f"{number:02}" for number in range(24)]


@pytest.mark.parametrize("how", ["drain", "release", "purge"])
def test_every_step_that_moves_messages_is_bounded_in_bytes(cluster: Cluster, how: str) -> None:
    """Broken if a node that leaves, or an operator's purge, stops the server for seconds."""
    cluster.join("a", limit=100)
    for number in range(16):
        cluster.place(f"{number:02}" + "x" * LARGE, "a")
    receipts = [receipt for receipt, _ in claim_all(cluster, "a", 16)] if how == "release" else []
    calls, _ = scripts(cluster)
    if how == "drain":
        assert cluster.state.drain("a") == 16
    elif how == "release":
        pairs = [(receipt, "") for receipt in receipts]
        assert cluster.state.release("a", cluster.epochs["a"], pairs) == 16
    else:
        assert cluster.state.purge(["q"]) == 16
    assert scripts(cluster)[0] - calls >= 8
    if how != "purge":
        assert [message[:2] for message in cluster.shared()] == [f"{number:02}" for number in range(16)]


@pytest.mark.parametrize("placed", [True, False])
def test_a_claim_is_bounded_in_bytes_and_goes_on(cluster: Cluster, placed: bool) -> None:
    """Broken if a node with room stops the server while it takes large messages, or waits after them."""
    cluster.join("a", limit=100)
    for number in range(16):
        message = f"{number:02}" + "x" * LARGE
        cluster.place(message, *(["a"] if placed else []))
    first = cluster.state.claim("a", cluster.epochs["a"], 16, ["q"], [["q"]])
    assert first.answer == "more"
    assert 2 <= len(first.claims) <= 4
    rest = claim_all(cluster, "a", 16 - len(first.claims))
    claimed = [claim.message.decode() for claim in first.claims] + [message for _, message in rest]
    assert [message[:2] for message in claimed] == [f"{number:02}" for number in range(16)]
    assert cluster.state.claim("a", cluster.epochs["a"], 16, ["q"], [["q"]]).answer == "ok"


def test_a_late_settle_does_not_search_all_of_a_long_queue(cluster: Cluster) -> None:
    """Broken if a fenced node stops the server: 500 late receipts, each looked for in the whole list."""
    hold(cluster, "a", 500)
    receipts = sorted(cluster.state.claimed_receipts("a"), key=int)
    with cluster.state.client.pipeline(transaction=False) as pipe:
        for number in range(100):
            pipe.lpush("q", *(f"behind{number * 1000 + at}" for at in range(1000)))
        pipe.execute()
    cluster.state.reap("a", 5)
    cluster.join("b", limit=500)
    assert len(cluster.claim("b", 250)) == 250
    _, before = scripts(cluster)
    settlement = cluster.state.settle("a", cluster.epochs["a"], receipts)
    assert (settlement.cancelled, settlement.possible_duplicates) == (250, 250)
    # The whole list for each of those that are gone would be 25 million comparisons, for seconds.
    assert scripts(cluster)[1] - before < 500_000


def test_a_reap_that_was_begun_is_finished_by_others(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken if the tasks of a dead node are stranded because its reaper died over them."""
    messages = hold(cluster, "a", 1_200)
    monkeypatch.setattr(cluster_state, "MAX_BATCHES", 1)
    cluster.state.reap("a", 5)
    monkeypatch.undo()
    cluster.join("b")
    now = cluster.state.now_ms()
    cluster.state.client.hset(cluster.state.keys.watch, mapping={"since": now - 10_000_000, "last": now})
    assert "a" in cluster.state.renew("b", cluster.epochs["b"], 5_000, ["q"], {}).overdue
    cluster.state.reap("a", 5)
    assert cluster.shared() == messages
