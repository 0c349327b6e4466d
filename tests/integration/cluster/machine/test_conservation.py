"""The invariants of the cluster's state under random sequences of operations, on a real server.

Whatever producers, nodes, a leader of beat, operators and ghosts of nodes do, every message that was
published is in exactly one place, tasks keep their order, and whoever is idle is rung.
"""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine

from switchyard.cluster import state as cluster_state
from switchyard.cluster.replies.answers import Crash
from tests.integration.cluster.machine.model import NODES, STEPS, Model, list_name, number_of
from tests.integration.cluster.machine.publishing import NAMES, QUEUE, Publishing
from tests.support.cluster import LEASE_MS, Cluster
from tests.support.servers import Server

MAX_DELIVERIES = 3
#: Of how many things that a rule could act on it takes one: hypothesis draws the number before it is known.
WHICH = st.integers(0, 5)


class Machine(Publishing):
    """One cluster of up to three nodes, two queues and two priorities, and everybody who acts on it."""

    server: Server

    @initialize(limits=st.tuples(*[st.integers(1, 3)] * len(NODES)))
    def begin(self, limits: tuple[int, ...]) -> None:
        """Start with three nodes that found nothing to do."""
        self.cluster = Cluster.on(self.server)
        self.state = self.cluster.state
        self.state.client.flushdb()
        self.model = Model(self.cluster)
        self.limits: dict[str, int] = {}
        self.incarnations = 0
        self.through: dict[str, int] = {}
        for name, limit in zip(NODES, limits, strict=True):
            self._join(name, limit)
            self.model.claim(name, 1, True)

    def teardown(self) -> None:
        """Let the connection go."""
        if hasattr(self, "cluster"):
            self.state.client.close()

    # -- nodes --------------------------------------------------------------------------------------------

    @rule(name=NAMES, limit=st.integers(1, 3))
    def join(self, name: str, limit: int) -> None:
        """A process starts, under a new or a known name."""
        self._join(name, limit)

    def _join(self, name: str, limit: int) -> None:
        self.incarnations += 1
        queues = NODES[name]
        fields: dict[str, Any] = {
            "slots": limit,
            "limit": limit,
            "queues": json.dumps(queues),
            "lease": LEASE_MS,
        }
        answer = self.state.register(name, f"i{self.incarnations}", LEASE_MS, queues, fields)
        assert (answer.answer == "held") == (name in self.cluster.epochs)
        if answer.answer == "new":
            self.cluster.epochs[name] = answer.epoch
            self.limits[name] = limit

    @precondition(lambda self: self.cluster.epochs)
    @rule(which=WHICH, want=st.integers(1, 4), fair=st.booleans())
    def claim(self, which: int, want: int, fair: bool) -> None:
        """A node takes what it has room for."""
        name = self._living(which)
        claimed = self.model.claim(name, want, fair)
        assert claimed.answer == ("ok" if name in self._up() else "draining")
        assert len(claimed.claims) <= want

    @precondition(lambda self: self._owners())
    @rule(which=WHICH, count=st.integers(1, 3))
    def settle(self, which: int, count: int) -> None:
        """A node, or the ghost of one, is done with some tasks."""
        name, epoch = self._owner(which)
        receipts = sorted(self.model.held[name, epoch])[:count]
        before = self.model.everywhere()
        settlement = self.state.settle(name, epoch, receipts)
        assert settlement.fenced == (self.cluster.epochs.get(name) != epoch)
        numbers = {self.model.let_go(name, epoch, receipt) for receipt in receipts}
        if settlement.fenced:
            numbers = {number_of(text) for text in before - self.model.everywhere()}
            assert len(numbers) == settlement.cancelled
        else:
            assert settlement.settled == len(receipts)
        self.model.settled |= numbers

    @precondition(lambda self: self._owners())
    @rule(which=WHICH, ends=st.booleans())
    def acknowledge(self, which: int, ends: bool) -> None:
        """A task starts that shall never run again, and ends, or its node does; a ghost is too late."""
        name, epoch = self._owner(which)
        receipt = min(self.model.held[name, epoch])
        number = self.model.let_go(name, epoch, receipt)
        held = self.state.acknowledge(name, epoch, [receipt])
        assert held == (self.cluster.epochs.get(name) == epoch)
        if held:
            self.model.settled.add(number)
            assert self.state.crash(name, epoch, "0", "", MAX_DELIVERIES) is Crash.NOT_HELD
            if ends:
                assert self.state.settle(name, epoch, [receipt]).settled == 1

    @precondition(lambda self: self._owners())
    @rule(which=WHICH, front=st.booleans(), changed=st.booleans())
    def release(self, which: int, front: bool, changed: bool) -> None:
        """A node gives back all it holds, as it was or changed; a ghost gives back nothing."""
        name, epoch = self._owner(which)
        held = dict(self.model.held[name, epoch])
        after = {number: self.model.change(number) if changed else "" for number in held.values()}
        pairs = [(receipt, after[held[receipt]]) for receipt in sorted(held, key=int)]
        released = self.state.release(name, epoch, pairs, front)
        if self.cluster.epochs.get(name) != epoch:
            assert released == 0
            return
        assert released == len(held)
        del self.model.held[name, epoch]
        self.model.moved.update(after)
        self.model.texts.update({number: text for number, text in after.items() if text})

    @precondition(lambda self: self._owners())
    @rule(which=WHICH, changed=st.booleans())
    def crash(self, which: int, changed: bool) -> None:
        """A pool process of a node, or of the ghost of one, dies."""
        name, epoch = self._owner(which)
        receipt = min(self.model.held[name, epoch])
        number = self.model.let_go(name, epoch, receipt)
        text = self.model.change(number) if changed else self.model.texts[number]
        became = self.state.crash(name, epoch, receipt, text, MAX_DELIVERIES)
        assert (became is Crash.NOT_HELD) == (self.cluster.epochs.get(name) != epoch)
        if became is Crash.GIVEN_BACK:
            self.model.texts[number] = text
            self.model.moved.add(number)

    @precondition(lambda self: self._owners())
    @rule(which=WHICH)
    def bury(self, which: int) -> None:
        """A node cannot read a message, or the ghost of one."""
        name, epoch = self._owner(which)
        receipt = min(self.model.held[name, epoch])
        self.model.let_go(name, epoch, receipt)
        assert self.state.bury(name, epoch, receipt, "why") == (self.cluster.epochs.get(name) == epoch)

    @precondition(lambda self: self.cluster.epochs)
    @rule(which=WHICH, whole=st.booleans())
    def die(self, which: int, whole: bool) -> None:
        """A lease runs out, and somebody reaps, or dies over it; what it still sends comes from a ghost."""
        name = self._living(which)
        assert self.state.reap(name, MAX_DELIVERIES).alive, "a lease that runs was taken away"
        self.model.moved.update(self.model.in_inbox(name))
        self.cluster.expire(name)
        assert not self.state.reap(name, MAX_DELIVERIES, seconds=math.inf if whole else 0).alive
        self.model.gone(name)

    @rule(name=NAMES, reaper=st.sampled_from(["", "b"]))
    def go_on_reaping(self, name: str, reaper: str) -> None:
        """Somebody takes a dead node's reap a step further."""
        if name not in self.cluster.epochs:
            self.state.reap(name, MAX_DELIVERIES, reaper=reaper, seconds=0)

    @precondition(lambda self: self._owners())
    @rule(which=WHICH, running=st.integers(0, 3))
    def heartbeat(self, which: int, running: int) -> None:
        """A node says what it knows and what of it runs; a ghost is told that it is one."""
        name, epoch = self._owner(which)
        held = sorted(self.model.held[name, epoch], key=int)
        said = {"running": " ".join(held[:running]), "known": held[-1]}
        renewal = self.state.renew(name, epoch, LEASE_MS, NODES[name], said)
        assert renewal.fenced == (self.cluster.epochs.get(name) != epoch)

    @precondition(lambda self: self.cluster.epochs)
    @rule(which=WHICH, serves=st.sets(QUEUE))
    def hand_back(self, which: int, serves: set[str]) -> None:
        """A node leaves queues for a moment: what is placed on it for others is given back, and only that."""
        name = self._living(which)
        before = self.model.in_inbox(name)
        count = self.state.hand_back(name, self.cluster.epochs[name], sorted(serves))
        gone = set(before) - set(self.model.in_inbox(name))
        assert len(gone) == count
        assert serves < set(NODES[name]) or not gone
        self.model.moved |= gone

    @precondition(lambda self: self.cluster.epochs)
    @rule(which=WHICH)
    def leave(self, which: int) -> None:
        """A process stops cleanly."""
        name = self._living(which)
        self.model.moved.update(self.model.in_inbox(name))
        self.state.reap(name, MAX_DELIVERIES, self.cluster.epochs[name], left=True)
        self.model.gone(name)

    @precondition(lambda self: self._ghosts())
    @rule(which=WHICH)
    def a_ghost_acts(self, which: int) -> None:
        """A fenced process goes on as if nothing had happened (invariant 3)."""
        ghosts = self._ghosts()
        name, epoch = ghosts[which % len(ghosts)]
        before = self.model.everywhere()
        assert self.state.claim(name, epoch, 3, ["q"], [["q"]]).answer == "fenced"
        assert self.state.renew(name, epoch, LEASE_MS, ["q"], {}).fenced
        assert self.model.everywhere() == before

    # -- operators ----------------------------------------------------------------------------------------

    @rule(name=NAMES)
    def drain(self, name: str) -> None:
        """An operator takes a node out."""
        self.model.moved.update(self.model.in_inbox(name))
        self.state.drain(name)
        assert self.model.in_inbox(name) == []

    @rule(name=NAMES)
    def resume(self, name: str) -> None:
        """An operator puts a node back, and it looks at once: nobody rang it meanwhile."""
        drained = name in self.cluster.epochs and name not in self._up()
        self.state.resume(name)
        assert not drained or self.cluster.bells(name)

    @precondition(lambda self: self.state.dead_count())
    @rule(which=WHICH, requeue=st.booleans())
    def take_from_the_dead(self, which: int, requeue: bool) -> None:
        """An operator gives a task another chance, or throws it away."""
        receipts = self.state.dead_receipts()
        receipt = receipts[which % len(receipts)]
        [dead] = self.state.dead_tasks([receipt])
        number = number_of(dead.message.decode())
        assert self.state.requeue(receipt) if requeue else self.state.discard(receipt)
        assert not self.state.requeue(receipt)
        (self.model.moved if requeue else self.model.thrown).add(number)

    @rule(queue=QUEUE)
    def purge(self, queue: str) -> None:
        """An operator throws away what waits for a queue, placed tasks too; what runs goes on."""
        keys = self.state.keys
        lists = [list_name(queue, step) for step in STEPS]
        lists += [key for key in self.state.wait_lists() if keys.queue_of(key) == queue]
        before, running = (
            self.model.everywhere(),
            sum(self.state.client.hlen(keys.claims(name)) for name in NODES),
        )
        gone = self.state.purge(lists)
        lost = before - self.model.everywhere()
        assert lost.total() == gone
        assert sum(self.state.client.hlen(keys.claims(name)) for name in NODES) == running
        assert self.state.size([list_name(queue, step) for step in STEPS]) == 0
        self.model.thrown.update(map(number_of, lost))

    # -- what must be true after each step ----------------------------------------------------------------

    @invariant()
    def holds(self) -> None:
        """Invariants 1 and 4."""
        if hasattr(self, "cluster"):
            self.model.check_conservation()
            self.model.check_work_conservation()

    def _living(self, which: int) -> str:
        living = sorted(self.cluster.epochs)
        return living[which % len(living)]

    def _owners(self) -> list[tuple[str, str]]:
        return sorted(owner for owner, held in self.model.held.items() if held)

    def _owner(self, which: int) -> tuple[str, str]:
        owners = self._owners()
        return owners[which % len(owners)]

    def _ghosts(self) -> list[tuple[str, str]]:
        return [owner for owner in self._owners() if self.cluster.epochs.get(owner[0]) != owner[1]]


@pytest.mark.timeout(7200)
def test_invariants_hold_whatever_happens(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some order of joins, deaths, claims and settlements would lose, double, strand or overtake a task."""
    Machine.server = server
    monkeypatch.setattr(cluster_state, "MOVE_MAX", 2)  # so that whatever goes in steps takes some
    # Fewer than a plain test is given: an example is forty steps here.
    run_machine(
        Machine,
        settings=settings(
            max_examples=settings().max_examples // 2,
            stateful_step_count=40,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
