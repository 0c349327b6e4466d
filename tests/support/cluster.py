"""A cluster of nodes without processes: the Lua operations as tests drive them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from switchyard.cluster import calls
from switchyard.cluster.keys import Keys
from switchyard.cluster.state import State
from switchyard.models import Load, Placement, Selector
from tests.support.replies import texts
from tests.support.servers import Server

#: Long enough that no lease runs out by itself while a test runs, in ms.
LEASE_MS = 600_000


@dataclass
class Cluster:
    """Registers nodes and speaks for them."""

    state: State
    epochs: dict[str, str] = field(default_factory=dict)

    @classmethod
    def on(cls, server: Server, namespace: str = "switchyard") -> Cluster:
        """A cluster on the server's first database."""
        return cls(State(server.client(), Keys(namespace)))

    def join(
        self,
        name: str,
        limit: int = 1,
        lease_ms: int = LEASE_MS,
        incarnation: str = "",
        load: Load | None = None,
        queues: Sequence[str] = ("q",),
    ) -> str:
        """Register a node."""
        fields: dict[str, str | int] = {
            "slots": limit,
            "limit": limit,
            "queues": json.dumps(queues),
            "labels": "{}",
            "lease": lease_ms,
            "load": json.dumps(asdict(load or Load())),
        }
        answer = self.state.register(name, incarnation or f"{name}-1", lease_ms, queues, fields)
        self.epochs[name] = answer.epoch
        return answer.answer

    def place(
        self,
        message: str,
        *candidates: str,
        bounded: bool = True,
        selector: Selector | None = None,
        strategy: str = "least_load",
        queue: str = "q",
    ) -> str | None:
        """Place a message; the node that got it or None."""
        placement = Placement(candidates, bounded, selector or Selector(), strategy)
        return self.state.place(placement, queue, [queue], 0, message).node

    def place_all(self, messages: Sequence[str], *candidates: str, queue: str = "q") -> int:
        """Place messages at once, bounded by the nodes' limits; how many were left on the queue."""
        placement = Placement(candidates, True, strategy="least_load")
        placing = calls.place(self.state.keys, placement, queue, [queue], 0, messages)
        left: int = self.state.runner.call(placing)[2]
        return left

    def bells(self, *names: str) -> list[str]:
        """Those of these nodes whose bell rings."""
        return [name for name in names if self.state.client.llen(self.state.keys.bell(name))]

    def claim(self, name: str, want: int = 1, lists: tuple[str, ...] = ("q",)) -> list[tuple[str, str]]:
        """Claim for a node: receipts and messages."""
        claimed = self.state.claim(name, self.epochs[name], want, ["q"], [lists])
        return [(claim.receipt, claim.message.decode()) for claim in claimed.claims]

    def shared(self) -> list[str]:
        """Messages on the shared queue, the one to be claimed next first."""
        return texts(reversed(self.state.client.lrange("q", 0, -1)))

    def outstanding(self, name: str) -> int:
        """Inbox and claims of a node."""
        return next(node.outstanding for node in self.state.snapshot() if node.name == name)

    def expire(self, name: str) -> None:
        """Let a node's lease run out now."""
        self.state.client.zadd(self.state.keys.nodes, {name: 1})
