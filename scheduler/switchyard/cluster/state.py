"""The one place that changes the cluster's state in Redis: a typed method for each Lua operation.

Every method is atomic and one round trip, but those that say they work in batches. Errors are redis-py's:
a method raises or its operation took place, with the usual doubt when the connection breaks in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from switchyard.cluster.reads import BATCH, MAX_BATCHES, View
from switchyard.cluster.replies import (
    Claimed,
    Crash,
    Reaped,
    Registration,
    Renewal,
    Settlement,
    read_state,
    text,
)
from switchyard.lua import script
from switchyard.models import Claim, Placed, Placement, Tick

#: How long a lost node stays on display and its late settles are understood, in ms (one hour).
REMEMBER_MS = 3_600_000
#: Receipts that one settle may carry: Lua can unpack some thousands, a reply must stay small.
SETTLE_MAX = 500
#: Messages that one place_batch may carry: some hundreds of kB at the most usual sizes.
PLACE_BATCH_MAX = 200
#: Claims that one release may carry.
RELEASE_MAX = 250
#: How long the mark of a tick is kept, in us (7 days): longer than anybody lets a leader sleep and wake.
MARK_US = 604_800_000_000

#: Seconds in which a node must have told a caller that its task was given up, before another tries.
ANNOUNCE_S = 30

Args = tuple[str | bytes | int, ...]


class State(View):
    """The cluster's state behind one connection pool, to look at and to change."""

    def load(self, *names: str) -> None:
        """Teach the server these operations, for callers that send commands themselves."""
        for name in names:
            self.client.script_load(script(name).source)

    def register(
        self,
        name: str,
        incarnation: str,
        lease_ms: int,
        queues: Sequence[str],
        fields: Mapping[str, str | int],
        dead_incarnation: str = "",
    ) -> Registration:
        """Take a node name. ``dead_incarnation`` is a holder that the caller knows to be dead."""
        k = self.keys
        keys = [k.nodes, k.node(name), k.inbox(name), k.claims(name), k.epoch, k.lost, k.queues, k.events]
        args: list[str | bytes | int] = [name, incarnation, lease_ms, dead_incarnation]
        args += [len(queues), *queues, *_flat(fields)]
        reply = [text(part) for part in self._run("register", keys, args)]
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
    ) -> Renewal:
        """Prolong a lease and publish the node's load.

        ``outage_ms`` is how long the whole cluster must have been silent for an outage; a lease by default.
        """
        k = self.keys
        keys = [k.nodes, k.node(name), k.queues, k.waiting, k.unannounced, k.watch]
        args: list[str | bytes | int] = [name, epoch, lease_ms, outage_ms or lease_ms]
        args += [len(queues), *queues, *_flat(fields)]
        reply = self._run("renew", keys, args)
        if reply[0] == b"fenced":
            return Renewal(fenced=True)
        overdue, waiting, given_up = (tuple(map(text, part)) for part in reply[2:5])
        return Renewal(False, read_state(text(reply[1])), overdue, waiting, given_up)

    def drain(self, name: str, stopping: bool = False) -> int | None:
        """Take a node out of service; tasks given back, or None if there is no such node. In batches.

        An operator's drain outlives a crash of the node; one because it is ``stopping`` ends with it.
        """
        state = "stopping" if stopping else "draining"
        k = self.keys
        keys = [k.nodes, k.node(name), k.inbox(name), k.waiting, k.events]
        total = 0
        for _ in range(MAX_BATCHES):
            moved, left = self._run("drain", keys, [name, k.prefix, BATCH, state])
            if moved < 0:
                return None
            total += moved
            if not left:
                break
        return total

    def ring(self, name: str) -> None:
        """Let a node look for work now."""
        self.client.lpush(self.keys.bell(name), 1)

    def resume(self, name: str) -> bool:
        """Put a drained node back into service; False if there is no such node."""
        k = self.keys
        return bool(self._run("resume", [k.node(name), k.bell(name), k.events], [name]) > 0)

    def reap(self, name: str, max_deliveries: int, epoch: str = "", left: bool = False) -> Reaped:
        """Fence a node and give all that it had back. In batches.

        Without ``epoch`` only if its lease ran out. ``left`` is a node's own farewell: nobody died.
        """
        k = self.keys
        keys = [k.nodes, k.node(name), k.inbox(name), k.claims(name), k.bell(name)]
        keys += [k.lost, k.waiting, k.deaths, k.dead, k.events, k.unannounced, k.counters]
        restored = given_up = 0
        for _ in range(MAX_BATCHES):
            how = "left" if left else "lost"
            args: Args = (name, epoch, how, k.prefix, BATCH, max_deliveries, REMEMBER_MS)
            moved, buried, more = self._run("reap", keys, args)
            if moved < 0:
                return Reaped(alive=True)
            restored, given_up = restored + moved, given_up + buried
            if not more:
                break
        return Reaped(False, restored, given_up)

    def place_command(
        self,
        placement: Placement,
        queue: str,
        ahead: Sequence[str],
        priority: int,
        message: str | bytes,
    ) -> tuple[list[str], list[str | bytes | int]]:
        """KEYS and ARGV of place. ``ahead`` lists go before the task; the last of them is its own."""
        keys, before = self._place_keys(placement, queue, ahead)
        bounded = "1" if placement.bounded else "0"
        args: list[str | bytes | int] = [message, priority, bounded, self.keys.prefix, queue, before]
        return keys, [*args, placement.strategy, *placement.candidates]

    def place_batch_command(
        self,
        placement: Placement,
        queue: str,
        ahead: Sequence[str],
        priority: int,
        messages: Sequence[str],
    ) -> tuple[list[str], list[str | bytes | int]]:
        """KEYS and ARGV of place_batch, for a bounded placement of PLACE_BATCH_MAX messages at most."""
        keys, before = self._place_keys(placement, queue, ahead)
        names = placement.candidates
        args: list[str | bytes | int] = [priority, self.keys.prefix, queue, before, len(names)]
        return keys, [*args, placement.strategy, *names, *messages]

    def _place_keys(self, placement: Placement, queue: str, ahead: Sequence[str]) -> tuple[list[str], int]:
        """The keys that placing touches, and how many of them are lists whose tasks go before."""
        k = self.keys
        before = [k.shared(name) for name in ahead]
        home = before[-1]
        if placement.selector:
            home = k.wait(ahead[-1], placement.selector.dumps())
            before.append(home)
        keys = [k.nodes, home, k.idle(queue), k.seq, k.waiting, k.queues, k.counters, *before]
        for name in placement.candidates:
            keys += [k.node(name), k.inbox(name), k.claims(name), k.bell(name)]
        return keys, len(before)

    def place(
        self, placement: Placement, queue: str, ahead: Sequence[str], priority: int, message: str | bytes
    ) -> Placed:
        """Put one message into the first candidate's inbox that may take it, else on its home."""
        keys, args = self.place_command(placement, queue, ahead, priority, message)
        index, outstanding = self._run("place", keys, args)
        return Placed(placement.candidates[index - 1], outstanding) if index else Placed(None)

    def tick_args(self, ticks: Sequence[Tick]) -> list[str | bytes | int]:
        """What tick, and before its count tick_batch, want behind ARGV; behind KEYS, ``keys.ticks``."""
        return [*(part for tick in ticks for part in (tick.entry, tick.instant, tick.through)), MARK_US]

    def mark(self, tick: Tick) -> bool:
        """Mark a tick as sent; False if it was, or a later one of its entry."""
        return bool(self._run("mark", [self.keys.ticks], self.tick_args([tick])))

    def claim_command(
        self,
        name: str,
        epoch: str,
        want: int,
        queues: Sequence[str],
        groups: Sequence[Sequence[str]],
        fair: bool,
    ) -> tuple[str | int, ...]:
        """The command that claims up to ``want`` messages from inbox, then ``groups`` of lists."""
        k = self.keys
        keys = [k.node(name), k.inbox(name), k.claims(name), k.seq, k.deaths]
        keys += [k.idle(queue) for queue in queues]
        keys += [home for group in groups for home in group]
        sizes = [len(group) for group in groups]
        args = [name, epoch, want, len(queues), "1" if fair else "0", *sizes]
        return ("EVALSHA", script("claim").sha, len(keys), *keys, *args)

    def settle_command(self, name: str, epoch: str, receipts: Sequence[str]) -> tuple[str | int, ...]:
        """The command that settles up to SETTLE_MAX receipts of one epoch."""
        k = self.keys
        keys = [k.node(name), k.claims(name), k.deaths, k.orphans(epoch), k.events, k.counters]
        return ("EVALSHA", script("settle").sha, len(keys), *keys, epoch, name, *receipts)

    @staticmethod
    def read_claimed(reply: Sequence[Any]) -> Claimed:
        """What the server answered to :meth:`claim_command`."""
        rows = zip(reply[1::4], reply[2::4], reply[3::4], reply[4::4], strict=True)
        claims = tuple(Claim(text(r), text(home), message, int(d)) for r, d, home, message in rows)
        return Claimed(text(reply[0]), claims)

    @staticmethod
    def read_settlement(reply: Sequence[Any]) -> Settlement:
        """What the server answered to :meth:`settle_command`."""
        if reply[0] == b"fenced":
            return Settlement(True, cancelled=int(reply[1]), possible_duplicates=int(reply[2]))
        return Settlement(False, settled=int(reply[1]))

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
        self.load("claim")
        command = self.claim_command(name, epoch, want, queues, groups, fair)
        return self.read_claimed(self._send(*command))

    def settle(self, name: str, epoch: str, receipts: Sequence[str]) -> Settlement:
        """Settle up to SETTLE_MAX receipts of one epoch."""
        command = self.settle_command(name, epoch, receipts)
        return self.read_settlement(self._run("settle", command[3:9], command[9:]))  # type: ignore[arg-type]

    def release(self, name: str, epoch: str, messages: Sequence[tuple[str, str]], front: bool = True) -> int:
        """Give (receipt, changed message or '') back to their homes, oldest first. In batches."""
        k = self.keys
        keys = [k.nodes, k.node(name), k.claims(name), k.waiting, k.deaths]
        released = 0
        batches = [messages[i : i + RELEASE_MAX] for i in range(0, len(messages), RELEASE_MAX)]
        for batch in reversed(batches) if front else batches:
            flat = [part for message in batch for part in message]
            released += self._run("release", keys, [epoch, "front" if front else "back", k.prefix, *flat])
        return released

    def crash(self, name: str, epoch: str, receipt: str, message: str, max_deliveries: int) -> Crash:
        """A pool process died running a claim: give it back changed to ``message``, or give it up."""
        k = self.keys
        keys = [k.nodes, k.node(name), k.claims(name), k.waiting]
        keys += [k.deaths, k.dead, k.unannounced, k.events, k.counters]
        return Crash(self._run("crash", keys, [name, epoch, receipt, message, max_deliveries, k.prefix]))

    def bury(self, name: str, epoch: str, receipt: str, reason: str) -> bool:
        """Set a claimed message aside among the dead."""
        k = self.keys
        keys = [k.node(name), k.claims(name), k.dead, k.dead_entry(receipt), k.events, k.counters]
        return bool(self._run("bury", keys, [name, epoch, receipt, reason]))

    def requeue(self, receipt: str) -> bool:
        """Put a task given up on at the end of its queue; False if it is not among the dead."""
        return self._take_from_dead(receipt, "requeue")

    def discard(self, receipt: str) -> bool:
        """Throw a task given up on away; False if it is not among the dead."""
        return self._take_from_dead(receipt, "discard")

    def _take_from_dead(self, receipt: str, how: str) -> bool:
        k = self.keys
        keys = [k.dead, k.dead_entry(receipt), k.unannounced, k.waiting, k.nodes]
        return bool(self._run("requeue", keys, [receipt, how, k.prefix]))

    def may_announce(self, receipt: str) -> bool:
        """Whether this node shall tell the callers; if it dies doing so, another may after half a minute."""
        return bool(self.client.set(self.keys.announcing(receipt), 1, nx=True, ex=ANNOUNCE_S))

    def announced(self, receipt: str) -> None:
        """The callers of a task given up on have been told."""
        self.client.srem(self.keys.unannounced, receipt)

    def purge(self, lists: Sequence[str]) -> int:
        """Throw away what waits on these homes and in the inboxes for them. In batches."""
        gone = 0
        for name in self.node_names() or [""]:
            at = 0
            for _ in range(MAX_BATCHES):
                removed, at = self._run("purge", [self.keys.inbox(name), *lists], [at, BATCH])
                gone += removed
                if at < 0:
                    break
        return gone


def _flat(fields: Mapping[str, str | int]) -> Iterable[str | int]:
    return (part for field in fields.items() for part in field)
