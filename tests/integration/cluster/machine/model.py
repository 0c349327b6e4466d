"""What a test knows of a cluster that it drives: where each message must be, and in which order it may go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from switchyard.cluster.depths import shared_lists
from switchyard.cluster.replies.answers import Claimed
from switchyard.cluster.replies.decoding import texts
from switchyard.cluster.wait_lists import read_wait_lists
from switchyard.models import Claim
from tests.support.cluster import Cluster

#: The queues and priority steps of the test, and the nodes with the queues that each serves.
QUEUES, STEPS = ("q", "r"), (0, 3)
NODES = {"a": ("q", "r"), "b": ("q",), "c": ("r", "q")}


#: What stays of a claim whose message was settled when its task began.
ACKNOWLEDGED = b"0:"


def list_name(queue: str, step: int) -> str:
    """kombu's list of a queue and priority."""
    return f"{queue}\x06\x16{step}" if step else queue


def lists_ahead(queue: str, step: int) -> list[str]:
    """The lists whose tasks go before one of this priority, its own last."""
    return [list_name(queue, before) for before in STEPS if before <= step]


def number_of(text: str) -> int:
    """Which message this is. A changed one keeps its number."""
    return int(text.rpartition("m")[2])


@dataclass
class Model:
    """Messages by number: their text now, those that are done with, and those that were moved."""

    cluster: Cluster
    texts: dict[int, str] = field(default_factory=dict)
    #: Ran to an end, or thrown away by a user.
    settled: set[int] = field(default_factory=set)
    thrown: set[int] = field(default_factory=set)
    #: Given back at least once, for whatever reason: their order is not promised any more.
    moved: set[int] = field(default_factory=set)
    #: What each owner of an epoch was given and has not let go of: receipt -> number.
    held: dict[tuple[str, str], dict[str, int]] = field(default_factory=dict)
    #: Nodes that asked for more than there was.
    idle: set[str] = field(default_factory=set)
    #: Of each place (a list, or a list's part of an inbox) the last message that was taken from it.
    last_taken: dict[tuple[str, str], int] = field(default_factory=dict)

    # -- what happened --------------------------------------------------------------------------------

    def publish(self) -> str:
        """The text of one more message."""
        number = len(self.texts) + 1
        self.texts[number] = f"m{number}"
        return self.texts[number]

    def change(self, number: int) -> str:
        """A text for a message that is given back changed, as a retry or a redelivery is."""
        return f"x{self.texts[number]}"

    def in_inbox(self, name: str) -> list[int]:
        """The messages that are placed on a node."""
        state = self.cluster.state
        return [number_of(member) for member in texts(state.client.zrange(state.keys.inbox(name), 0, -1))]

    def claim(self, name: str, want: int, fair: bool) -> Claimed:
        """A node answers its bell and takes what it has room for; checks what it got and in which order."""
        cluster, state = self.cluster, self.cluster.state
        placed, epoch = set(self.in_inbox(name)), cluster.epochs[name]
        groups = self.groups(name)
        state.client.delete(state.keys.bell(name))
        claimed = state.claim(name, epoch, want, NODES[name], groups, fair)
        if claimed.answer != "ok":
            return claimed
        for claim in claimed.claims:
            self._check_order(name, claim, placed)
        self._check_urgency(claimed.claims, placed, groups)
        held = self.held.setdefault((name, epoch), {})
        held.update({claim.receipt: number_of(claim.message.decode()) for claim in claimed.claims})
        (self.idle.add if len(claimed.claims) < want else self.idle.discard)(name)
        return claimed

    def groups(self, name: str) -> list[list[str]]:
        """The lists that a node claims from, the most urgent first."""
        keys = self.cluster.state.keys
        found = read_wait_lists(keys, self.cluster.state.wait_lists()).read
        mine = [wait for wait in found if wait.queue in NODES[name] and wait.selector.allows(name, {})]
        waits = sorted((wait.step, wait.key) for wait in mine)
        return [
            [key for at, key in waits if at == step] + [list_name(queue, step) for queue in NODES[name]]
            for step in STEPS
        ]

    def _check_order(self, name: str, claim: Claim, placed: set[int]) -> None:
        """Invariant 5, of each place: what was never given back is taken in the order of its publishing."""
        number = number_of(claim.message.decode())
        assert claim.message.decode() == self.texts[number]
        if number in self.moved:
            return
        place = (claim.home, name if number in placed else "")
        assert number > self.last_taken.get(place, 0), f"m{number} was overtaken on {place}"
        self.last_taken[place] = number

    def _check_urgency(self, claims: Sequence[Claim], placed: set[int], groups: list[list[str]]) -> None:
        """Nothing is taken from a list while a more urgent one still has tasks that were never moved."""
        keys, client = self.cluster.state.keys, self.cluster.state.client
        steps = [
            keys.priority_of(one.home) for one in claims if number_of(one.message.decode()) not in placed
        ]
        assert steps == sorted(steps)
        for step, group in zip(STEPS, groups, strict=True):
            if steps and step < steps[-1]:
                left = [number_of(text) for key in group for text in texts(client.lrange(key, 0, -1))]
                assert set(left) <= self.moved

    def let_go(self, name: str, epoch: str, receipt: str) -> int:
        """An owner says something of a claim for the last time; which message it is."""
        return self.held[name, epoch].pop(receipt)

    def gone(self, name: str) -> None:
        """A node's lease ended: what it had was given back."""
        epoch = self.cluster.epochs.pop(name)
        self.moved.update(self.held.get((name, epoch), {}).values())
        self.idle.discard(name)

    # -- what must be true ----------------------------------------------------------------------------

    def everywhere(self) -> Counter[str]:
        """The text of each message in Redis, and how often it is there."""
        state = self.cluster.state
        homes = [key for queue in QUEUES for key in shared_lists(state.keys, queue)] + state.wait_lists()
        pipe = state.client.pipeline(transaction=False)
        for home in homes:
            pipe.lrange(home, 0, -1)
        for name in NODES:
            pipe.zrange(state.keys.inbox(name), 0, -1)
            pipe.hvals(state.keys.claims(name))
        for receipt in state.dead_receipts():
            pipe.hmget(state.keys.dead_entry(receipt), "message")
        entries = [entry.decode() for reply in pipe.execute() for entry in reply if entry != ACKNOWLEDGED]
        # An entry begins with its home; a message has no q and no r in it, and no list has an m or an x.
        return Counter(entry[min(entry.find(letter) % len(entry) for letter in "xm") :] for entry in entries)

    def check_conservation(self) -> None:
        """Invariant 1: every message that was published is in exactly one place, as it was written last."""
        there = self.everywhere()
        assert max(there.values(), default=1) == 1
        alive = {
            number: text for number, text in self.texts.items() if number not in self.settled | self.thrown
        }
        assert set(there) == set(alive.values())
        assert not self.settled & self.thrown

    def check_work_conservation(self) -> None:
        """Invariant 4, as far as scripts keep it: who found too little is rung, or will be."""
        state = self.cluster.state
        up = {node.name for node in state.snapshot() if node.state == "up"}
        for name in self.idle & up:
            rung = bool(self.cluster.bells(name))
            for queue in NODES[name]:
                listed = bool(state.client.sismember(state.keys.idle(queue), name))
                assert rung or listed, f"{name} stands idle, and no task of {queue} will ring it"
