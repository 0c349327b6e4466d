"""A state machine of nodes, producers and faults on a real server; the invariants hold after every step."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from switchyard.cluster import calls
from switchyard.cluster.replies import Claimed, Crash
from switchyard.cluster.state import State
from switchyard.models import Placement, Selector, Tick

from tests.support.cluster import LEASE_MS, Cluster
from tests.support.replies import text, texts
from tests.support.servers import Server

MAX_DELIVERIES = 3
NAMES = st.sampled_from(["a", "b", "c"])
#: An entry, an instant of it, and how much further the tick covers it.
TICKS = st.tuples(st.sampled_from(["e", "f"]), st.integers(1, 12), st.integers(0, 2))


def place_ticks(
    state: State, placement: Placement, messages: list[str], ticks: list[Tick], batch: bool
) -> None:
    """Place messages of ticks on queue ``q``, all at once or the only one."""
    placing = calls.place(state.keys, placement, "q", ["q"], 0, messages)
    state.runner.call(calls.tick(state.keys, placing, ticks))


class Machine(RuleBasedStateMachine):
    """Every message is in exactly one place, no bounded node over its limit, no ghost of a node acts."""

    server: Server
    tags = Bundle("tags")

    @initialize()
    def empty(self) -> None:
        """Start from nothing."""
        self.cluster = Cluster.on(self.server)
        self.cluster.state.client.flushdb()
        self.published = 0
        self.settled: set[str] = set()
        self.limits: dict[str, int] = {}
        self.held: dict[tuple[str, str], dict[str, str]] = {}
        self.bounded_only = True
        self.incarnations = 0
        self.through: dict[str, int] = {}

    def teardown(self) -> None:
        """Let the connection go."""
        if hasattr(self, "cluster"):
            self.cluster.state.client.close()

    @rule(name=NAMES, limit=st.integers(1, 3))
    def join(self, name: str, limit: int) -> None:
        """A process starts, under a new or a known name."""
        self.incarnations += 1
        fields: dict[str, Any] = {
            "slots": limit,
            "limit": limit,
            "queues": json.dumps(["q"]),
            "lease": LEASE_MS,
        }
        answer = self.cluster.state.register(name, f"i{self.incarnations}", LEASE_MS, ["q"], fields)
        assert (answer.answer == "held") == (name in self.cluster.epochs)
        if answer.answer == "new":
            self.cluster.epochs[name] = answer.epoch
            self.limits[name] = limit

    @rule(names=st.lists(NAMES, unique=True), bounded=st.booleans(), pinned=st.booleans())
    def publish(self, names: list[str], bounded: bool, pinned: bool) -> None:
        """A producer places a message, with candidates that may be full, lost or unheard of."""
        self.published += 1
        selector = Selector(node=names[0]) if pinned and names else Selector()
        node = self.cluster.place(f"m{self.published}", *names, bounded=bounded, selector=selector)
        if node is not None and bounded:
            assert self.cluster.outstanding(node) <= self.limits[node]

    @rule(
        names=st.lists(NAMES, unique=True), ticks=st.lists(TICKS, min_size=1, max_size=4), batch=st.booleans()
    )
    def tick(self, names: list[str], ticks: list[tuple[str, int, int]], batch: bool) -> None:
        """A leader, or the ghost of one, sends ticks of periodic entries; those sent already are refused."""
        for group in [ticks] if batch else [[tick] for tick in ticks]:
            messages = [self._message_of(*tick) for tick in group]
            sent = [Tick(entry, instant, instant + more) for entry, instant, more in group]
            place_ticks(self.cluster.state, Placement(tuple(names), True), messages, sent, batch)

    def _message_of(self, entry: str, instant: int, more: int) -> str:
        """What to send: a new message, or one that must not arrive anywhere."""
        if instant <= self.through.get(entry, 0):
            return "sent already"
        self.through[entry] = instant + more
        self.published += 1
        return f"m{self.published}"

    @rule(name=NAMES, want=st.integers(1, 4))
    def claim(self, name: str, want: int) -> None:
        """A node takes what it has room for."""
        if name not in self.cluster.epochs:
            return
        epoch = self.cluster.epochs[name]
        lists = [key for key in self.cluster.state.wait_lists() if f'"{name}"' in key]
        claimed = self.cluster.state.claim(name, epoch, want, ["q"], [lists, ["q"]])
        assert claimed.answer in ("ok", "draining")
        assert len(claimed.claims) <= want
        self._hold(name, epoch, claimed)

    def _hold(self, name: str, epoch: str, claimed: Claimed) -> None:
        held = self.held.setdefault((name, epoch), {})
        held.update({claim.receipt: claim.message.decode() for claim in claimed.claims})

    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        """A node, or the ghost of one, is done with some tasks."""
        owners = [owner for owner, held in self.held.items() if held]
        if not owners:
            return
        name, epoch = data.draw(st.sampled_from(sorted(owners)))
        held = self.held[name, epoch]
        receipts = data.draw(st.lists(st.sampled_from(sorted(held)), min_size=1, unique=True))
        before = self._everywhere()
        settlement = self.cluster.state.settle(name, epoch, receipts)
        assert settlement.fenced == (self.cluster.epochs.get(name) != epoch)
        gone = [held.pop(receipt) for receipt in receipts]
        if settlement.fenced:
            after = self._everywhere()
            assert sum((before - after).values()) == settlement.cancelled
            self.settled.update((before - after).keys())
        else:
            assert settlement.settled == len(receipts)
            self.settled.update(gone)

    @rule(name=NAMES, front=st.booleans())
    def release(self, name: str, front: bool) -> None:
        """A node gives back all it holds."""
        epoch = self.cluster.epochs.get(name, "")
        held = self.held.pop((name, epoch), {})
        pairs = [(receipt, "") for receipt in sorted(held, key=int)]
        assert self.cluster.state.release(name, epoch, pairs, front) == len(held)

    @rule(name=NAMES)
    def crash(self, name: str) -> None:
        """A pool process of a node, or of the ghost of one, dies."""
        owners = [owner for owner, held in self.held.items() if held and owner[0] == name]
        if not owners:
            return
        epoch = min(owners)[1]
        receipt, message = self.held[name, epoch].popitem()
        became = self.cluster.state.crash(name, epoch, receipt, message, MAX_DELIVERIES)
        assert (became is Crash.NOT_HELD) == (self.cluster.epochs.get(name) != epoch)

    @rule(name=NAMES)
    def drain(self, name: str) -> None:
        """An operator takes a node out."""
        self.cluster.state.drain(name)
        if name in self.cluster.epochs:
            assert next(n.inbox for n in self.cluster.state.snapshot() if n.name == name) == 0

    @rule(name=NAMES)
    def resume(self, name: str) -> None:
        """An operator puts a node back."""
        self.cluster.state.resume(name)

    @rule(name=NAMES)
    def die(self, name: str) -> None:
        """A lease runs out, and somebody reaps; what the process still sends comes from a ghost."""
        if name not in self.cluster.epochs:
            return
        self.cluster.expire(name)
        assert not self.cluster.state.reap(name, MAX_DELIVERIES).alive
        del self.cluster.epochs[name]

    @rule(name=NAMES)
    def reap_the_living(self, name: str) -> None:
        """A node with a wrong idea of the time tries to reap a live one."""
        if name in self.cluster.epochs:
            assert self.cluster.state.reap(name, MAX_DELIVERIES).alive

    @rule(name=NAMES)
    def leave(self, name: str) -> None:
        """A process stops cleanly."""
        epoch = self.cluster.epochs.pop(name, None)
        if epoch is not None:
            self.cluster.state.reap(name, MAX_DELIVERIES, epoch, left=True)

    @rule(data=st.data())
    def a_ghost_acts(self, data: st.DataObject) -> None:
        """A fenced process goes on as if nothing had happened (invariant 3)."""
        ghosts = [owner for owner in self.held if self.cluster.epochs.get(owner[0]) != owner[1]]
        if not ghosts:
            return
        name, epoch = data.draw(st.sampled_from(sorted(ghosts)))
        before = self._everywhere()
        assert self.cluster.state.claim(name, epoch, 3, ["q"], [["q"]]).answer == "fenced"
        assert self.cluster.state.renew(name, epoch, LEASE_MS, ["q"], {}).fenced
        assert (
            self.cluster.state.release(name, epoch, [(receipt, "") for receipt in self.held[name, epoch]])
            == 0
        )
        assert self._everywhere() == before

    @invariant()
    def conservation(self) -> None:
        """Invariant 1: every message that was published is in exactly one place."""
        if not hasattr(self, "cluster"):
            return
        everywhere = self._everywhere()
        assert max(everywhere.values(), default=1) == 1
        assert not set(everywhere) & self.settled
        assert len(everywhere) + len(self.settled) == self.published

    def _everywhere(self) -> Counter[str]:
        """Each message in Redis and how often it is there."""
        state = self.cluster.state
        found = texts(state.client.lrange("q", 0, -1))
        for key in state.wait_lists():
            found += texts(state.client.lrange(key, 0, -1))
        for name in ("a", "b", "c"):
            found += texts(state.client.zrange(state.keys.inbox(name), 0, -1))
            found += texts(state.client.hvals(state.keys.claims(name)))
        for receipt in texts(state.client.zrange(state.keys.dead, 0, -1)):
            found.append(text(state.client.hget(state.keys.dead_entry(receipt), "message")))
        return Counter("m" + entry.rpartition("m")[2] for entry in found)


@pytest.mark.timeout(300)
def test_invariants_hold_whatever_happens(server: Server) -> None:
    """Some order of joins, deaths, claims and settlements would lose, double or strand a task."""
    Machine.server = server
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
