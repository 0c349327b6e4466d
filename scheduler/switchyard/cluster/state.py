"""The one place that changes the cluster's state in Redis: a typed method for each Lua operation.

Every method is atomic and one round trip, but those that say they work in batches. Errors are redis-py's:
a method raises or its operation took place, with the usual doubt when the connection breaks in between.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterable, Mapping, Sequence

from switchyard.cluster import calls, layout
from switchyard.cluster.buried import Buried
from switchyard.cluster.reads import BATCH_BYTES, MAX_BATCHES
from switchyard.cluster.replies.answers import (
    Claimed,
    Crash,
    Look,
    Reaped,
    Registration,
    Renewal,
    Settlement,
    read_state,
)
from switchyard.cluster.replies.decoding import shown, texts
from switchyard.models import NodeState, Placed, Placement, Tick

#: A heartbeat without an earlier one.
FIRST_LOOK = Look()
#: How long a lost node stays on display and its late settles are understood, in ms (one hour).
REMEMBER_MS = 3_600_000
#: For how long in ms nodes leave a dead one to a node that began to reap it and took no step since.
REAPER_MS = 2000
#: What a reap says instead of how many it moved.
_ALIVE, _ANOTHERS = -1, -2
#: Tasks that one script call moves or throws away at most: some 5 ms of the server's time.
MOVE_MAX = 200


class State(Buried):
    """The cluster's state behind one connection pool, to look at and to change."""

    def register(
        self,
        name: str,
        incarnation: str,
        lease_ms: int,
        queues: Sequence[str],
        fields: Mapping[str, str | int],
        dead_incarnation: str = "",
    ) -> Registration:
        """Take a node name. ``dead_incarnation`` is a holder that the caller knows to be dead.

        Raises OtherLayout if another version laid the cluster's state out differently.
        """
        k = self.keys
        keys = [k.nodes, k.node(name), k.inbox(name), k.claims(name), k.epoch, k.lost, k.queues, k.events]
        keys.append(k.layout)
        args: list[str | bytes | int] = [name, incarnation, lease_ms, dead_incarnation, layout.LAYOUT]
        args += [len(queues), *queues, *_flat(fields)]
        reply = [shown(part) for part in self.runner.run("cluster/register", keys, args)]
        if reply[0] == "layout" and (other := layout.other_layout(k, reply[1])):
            raise other
        if reply[0] == "held":
            return Registration("held", held_ms=int(reply[1]), held_by=f"{reply[2]} pid {reply[3]}")
        return Registration(reply[0], epoch=reply[1])

    def renew(
        self,
        name: str,
        epoch: str,
        lease_ms: int,
        queues: Sequence[str],
        fields: Mapping[str, str | int],
        outage_ms: int | None = None,
        look: Look = FIRST_LOOK,
    ) -> Renewal:
        """Prolong a lease and publish the node's load.

        ``outage_ms`` is how long the whole cluster must have been silent for an outage; a lease by default.
        ``look`` is what the last heartbeat said of it.
        """
        k = self.keys
        keys = [
            k.nodes,
            k.node(name),
            k.queues,
            k.waiting,
            k.unannounced,
            k.watch,
            k.unfinished,
            k.claims(name),
        ]
        args: list[str | bytes | int] = [name, epoch, lease_ms, outage_ms or lease_ms, k.prefix]
        args += [look.at, look.cursor, look.most]
        args += [len(queues), *queues, *_flat(fields)]
        reply = self.runner.run("cluster/renew", keys, args)
        if reply[0] == b"fenced":
            return Renewal(fenced=True)
        overdue, waiting, given_up = (tuple(texts(part)) for part in reply[2:5])
        next_look = Look(reply[5], shown(reply[6]), look.most)
        return Renewal(False, _own_state(shown(reply[1])), overdue, waiting, given_up, next_look, reply[7])

    def drain(self, name: str, stopping: bool = False) -> int | None:
        """Take a node out of service; tasks given back, or None if there is no such node. In batches.

        An operator's drain outlives a crash of the node; one because it is ``stopping`` ends with it.
        """
        state = "stopping" if stopping else "draining"
        k = self.keys
        keys = [k.nodes, k.node(name), k.inbox(name), k.waiting, k.events]
        total = 0
        for _ in range(MAX_BATCHES):
            moved, left = self.runner.run(
                "cluster/drain", keys, [name, k.prefix, MOVE_MAX, BATCH_BYTES, state]
            )
            if moved < 0:
                return None
            total += moved
            if not left:
                break
        return total

    def hand_back(self, name: str, epoch: str, serves: Sequence[str], left: Collection[str] = ()) -> int:
        """Give back what is placed on a node for queues that it does not serve; how many. In batches.

        ``left`` are queues that it served before: it is not rung for these any more.
        """
        k = self.keys
        keys = [k.nodes, k.node(name), k.inbox(name), k.waiting, *(k.idle(queue) for queue in left)]
        total = at = 0
        for _ in range(MAX_BATCHES):
            args: list[str | bytes | int] = [
                name,
                epoch,
                k.prefix,
                k.global_prefix,
                k.lists.separator,
                at,
                MOVE_MAX,
                BATCH_BYTES,
            ]
            moved, at = self.runner.run("cluster/hand_back", keys, [*args, *serves])
            total += moved
            if at < 0:
                break
        return total

    def ring(self, name: str) -> None:
        """Let a node look for work now."""
        self.client.lpush(self.keys.bell(name), 1)

    def resume(self, name: str) -> bool:
        """Put a drained node back into service; False if there is no such node."""
        k = self.keys
        return bool(self.runner.run("cluster/resume", [k.node(name), k.bell(name), k.events], [name]) > 0)

    def reap(
        self,
        name: str,
        max_deliveries: int,
        epoch: str = "",
        left: bool = False,
        reaper: str = "",
        seconds: float = math.inf,
    ) -> Reaped:
        """Fence a node and give all that it had back. In batches, until ``seconds`` have passed.

        Without ``epoch`` only if its lease ran out. ``left`` is a node's own farewell: nobody died. A
        ``reaper`` that is named leaves a node to another one that is at it.
        """
        k = self.keys
        keys = [k.nodes, k.node(name), k.inbox(name), k.claims(name), k.bell(name)]
        keys += [k.lost, k.waiting, k.deaths, k.dead, k.events, k.unannounced, k.counters]
        keys += [k.order(name), k.unfinished]
        args: list[str | bytes | int] = [
            name,
            epoch,
            "left" if left else "lost",
            k.prefix,
            MOVE_MAX,
            BATCH_BYTES,
        ]
        args += [max_deliveries, REMEMBER_MS, reaper, REAPER_MS]
        restored, given_up, more = 0, 0, 1
        deadline = time.monotonic() + seconds
        for _ in range(MAX_BATCHES):
            moved, buried, more = self.runner.run("cluster/reap", keys, args)
            if moved == _ALIVE:
                return Reaped(alive=True)
            if moved == _ANOTHERS:
                break
            restored, given_up = restored + moved, given_up + buried
            if not more or time.monotonic() >= deadline:
                break
        return Reaped(False, restored, given_up, bool(more))

    def place(
        self, placement: Placement, queue: str, ahead: Sequence[str], priority: int, message: str | bytes
    ) -> Placed:
        """Put one message into the first candidate's inbox that may take it, else on its home."""
        placing = calls.place(self.keys, placement, queue, ahead, priority, [message])
        index, outstanding, _ = self.runner.call(placing)
        return Placed(placement.candidates[index - 1], outstanding) if index else Placed(None)

    def mark(self, tick: Tick) -> bool:
        """Mark a tick as sent; False if it was, or a later one of its entry."""
        return bool(self.runner.call(calls.mark(self.keys, tick)))

    def claim(
        self,
        name: str,
        epoch: str,
        want: int,
        queues: Sequence[str],
        groups: Sequence[Sequence[str]],
        fair: bool = True,
    ) -> Claimed:
        """Hand a node up to ``want`` messages."""
        claiming = calls.claim(self.keys, name, epoch, want, queues, groups, fair)
        return calls.read_claimed(self.runner.call(claiming))

    def settle(self, name: str, epoch: str, receipts: Sequence[str]) -> Settlement:
        """Settle up to SETTLE_MAX receipts of one epoch."""
        return calls.read_settlement(self.runner.call(calls.settle(self.keys, name, epoch, receipts)))

    def acknowledge(self, name: str, epoch: str, receipts: Sequence[str]) -> bool:
        """Claims of tasks that run are never given back from now on; False if this epoch is fenced.

        Up to SETTLE_MAX receipts. The claims stay, since the tasks take slots, until they are settled.
        """
        keys = [self.keys.node(name), self.keys.claims(name), self.keys.deaths]
        return bool(self.runner.run("cluster/acknowledge", keys, [epoch, *receipts]))

    def release(self, name: str, epoch: str, messages: Sequence[tuple[str, str]], front: bool = True) -> int:
        """Give (receipt, changed message or '') back to their homes, oldest first. In batches."""
        k = self.keys
        keys = [k.nodes, k.node(name), k.claims(name), k.waiting, k.deaths]
        released, left = 0, list(messages)
        while left:
            batch = left[-MOVE_MAX:] if front else left[:MOVE_MAX]
            flat = [part for message in batch for part in message]
            side = "front" if front else "back"
            given, taken = self.runner.run(
                "cluster/release", keys, [epoch, side, k.prefix, BATCH_BYTES, *flat]
            )
            released += given
            left = left[:-taken] if front else left[taken:]
        return released

    def crash(self, name: str, epoch: str, receipt: str, message: str, max_deliveries: int) -> Crash:
        """A pool process died running a claim: give it back changed to ``message``, or give it up."""
        k = self.keys
        keys = [k.nodes, k.node(name), k.claims(name), k.waiting]
        keys += [k.deaths, k.dead, k.unannounced, k.events, k.counters]
        return Crash(
            self.runner.run("cluster/crash", keys, [name, epoch, receipt, message, max_deliveries, k.prefix])
        )

    def bury(self, name: str, epoch: str, receipt: str, reason: str, tell: bool = True) -> bool:
        """Set a claimed message aside among the dead. ``tell``: some node shall tell its callers."""
        k = self.keys
        keys = [k.node(name), k.claims(name), k.dead, k.events, k.counters, k.unannounced]
        args = [name, epoch, receipt, reason, k.prefix, "1" if tell else "0"]
        return bool(self.runner.run("cluster/bury", keys, args))

    def purge(self, lists: Sequence[str]) -> int:
        """Throw away what waits on these homes and in the inboxes for them. In batches."""
        gone = 0
        for name in self.node_names() or [""]:
            at = 0
            for _ in range(MAX_BATCHES):
                removed, at = self.runner.run(
                    "cluster/purge", [self.keys.inbox(name), *lists], [at, MOVE_MAX, BATCH_BYTES]
                )
                gone += removed
                if at < 0:
                    break
        return gone


def _flat(fields: Mapping[str, str | int]) -> Iterable[str | int]:
    return (part for field in fields.items() for part in field)


def _own_state(state: str) -> NodeState:
    """What a node learns of itself: with a state that we do not know it gets no tasks, as one that drains."""
    try:
        return read_state(state)
    except ValueError:
        return NodeState.DRAINING
