"""Producers and beat, as rules of the state machine of ``test_conservation``."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from switchyard.cluster import calls
from switchyard.cluster.replies.decoding import texts
from switchyard.cluster.state import State
from switchyard.models import Placement, Selector, Tick
from tests.integration.cluster.machine.model import NODES, QUEUES, STEPS, Model, lists_ahead
from tests.support.cluster import Cluster

NAMES = st.sampled_from(sorted(NODES))
CANDIDATES = st.lists(NAMES, unique=True)
QUEUE, STEP = st.sampled_from(QUEUES), st.sampled_from(STEPS)
#: An entry, an instant of it, and how much further the tick covers it.
TICKS = st.tuples(st.sampled_from(["e", "f"]), st.integers(1, 12), st.integers(0, 2))


class Publishing(RuleBasedStateMachine):
    """Everybody who places tasks in a cluster; who makes the cluster is the machine that has these rules."""

    cluster: Cluster
    state: State
    model: Model
    limits: dict[str, int]
    through: dict[str, int]

    @rule(names=CANDIDATES, queue=QUEUE, step=STEP, bounded=st.booleans(), pinned=st.booleans())
    def publish(self, names: list[str], queue: str, step: int, bounded: bool, pinned: bool) -> None:
        """A producer places a message, with candidates that may be full, lost or unheard of."""
        selector = Selector(node=names[0]) if pinned and names else Selector()
        self._place(Placement(tuple(names), bounded, selector, "s"), queue, step, [self.model.publish()])

    @rule(names=CANDIDATES, queue=QUEUE, step=STEP, count=st.integers(2, 5))
    def publish_batch(self, names: list[str], queue: str, step: int, count: int) -> None:
        """A producer places several at once."""
        messages = [self.model.publish() for _ in range(count)]
        self._place(Placement(tuple(names), True, strategy="s"), queue, step, messages)

    @rule(names=CANDIDATES, queue=QUEUE, step=STEP, ticks=st.lists(TICKS, min_size=1, max_size=4))
    def tick(self, names: list[str], queue: str, step: int, ticks: list[tuple[str, int, int]]) -> None:
        """A leader, or the ghost of one, sends ticks of periodic entries; those sent already are refused."""
        new = [self._is_new(*tick) for tick in ticks]
        messages = [self.model.publish() if is_new else "sent already" for is_new in new]
        marks = [Tick(entry, instant, instant + more) for entry, instant, more in ticks]
        self._place(Placement(tuple(names), True, strategy="s"), queue, step, messages, marks)

    @rule(tick=TICKS)
    def mark(self, tick: tuple[str, int, int]) -> None:
        """A leader marks a tick whose message kombu puts where it belongs."""
        entry, instant, more = tick
        assert self.state.mark(Tick(entry, instant, instant + more)) == self._is_new(*tick)

    def _is_new(self, entry: str, instant: int, more: int) -> bool:
        if instant <= self.through.get(entry, 0):
            return False
        self.through[entry] = instant + more
        return True

    def _place(
        self,
        placement: Placement,
        queue: str,
        step: int,
        messages: list[str],
        ticks: list[Tick] | None = None,
    ) -> None:
        """Place messages; checks the bound, that nothing is overtaken, and that idle nodes are rung."""
        keys, client = self.state.keys, self.state.client
        before = [client.llen(name) for name in lists_ahead(queue, step)]
        idle = set(texts(client.smembers(keys.idle(queue)))) & self._up()
        call = calls.place(keys, placement, queue, lists_ahead(queue, step), step, messages)
        reply = self.state.runner.call(calls.tick(keys, call, ticks) if ticks else call)
        taker, outstanding, left = reply[:3]
        if taker > 0 and placement.bounded:
            assert outstanding <= self.limits[placement.candidates[taker - 1]]
            assert sum(before) == 0, "a task overtook those on the shared queue"
        assert len(self.cluster.bells(*idle)) >= min(left, len(idle)), "an idle node was not rung"

    def _up(self) -> set[str]:
        return {node.name for node in self.state.snapshot() if node.state == "up"}
