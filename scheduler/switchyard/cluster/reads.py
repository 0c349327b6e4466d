"""Looking at the cluster's state in Redis: nothing here changes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis import Redis

from switchyard.cluster.keys import PLACED, Keys
from switchyard.cluster.layout import LAYOUT
from switchyard.cluster.replies.answers import (
    HOLDER_FIELDS,
    NODE_FIELDS,
    Depth,
    Holder,
    read_counters,
    read_dead,
    read_depths,
    read_event,
    read_holder,
    read_node,
    read_placed,
)
from switchyard.cluster.replies.decoding import number, shown, text, texts
from switchyard.cluster.replies.strangers import Rows, Stranger, read_rows
from switchyard.cluster.runner import ScriptRunner
from switchyard.cluster.wait_lists import WaitList, read_wait_lists
from switchyard.models import Counters, DeadTask, Event, Node

#: Entries that one script call looks at at most: about a millisecond of the server's time.
BATCH = 500
#: Nodes that one script call reads at most, or a few more: some 40 ms of the server's time.
SNAPSHOT_MAX = 1000
#: Bytes of entries that one script call looks at or moves at most, but for one entry: some milliseconds.
BATCH_BYTES = 500_000
#: Batches that one method call runs at most, so that every loop here ends.
MAX_BATCHES = 20_000


class Reads:
    """The cluster's state behind one connection pool, to look at."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self.client = client
        self.keys = keys
        self.runner = ScriptRunner(client)

    def layout(self) -> str:
        """The number of the layout of what is in Redis; of a cluster that no node joined yet, ours."""
        found = self.client.get(self.keys.layout)
        return shown(found) if found is not None else str(LAYOUT)

    def now_ms(self) -> int:
        """The server's clock in ms."""
        seconds, micros = self.client.time()
        return int(seconds) * 1000 + int(micros) // 1000

    def holder(self, name: str) -> Holder:
        """Who registered under a node name last."""
        return read_holder(self.client.hmget(self.keys.node(name), HOLDER_FIELDS))

    def nodes(self) -> Rows[Node]:
        """Every node with its exact outstanding, those lost within the last hour, and what is no node."""
        k = self.keys
        found: dict[Any, Any] = {}
        now, up, lost = 0, "0", "0"
        for _ in range(MAX_BATCHES):
            args: list[Any] = [k.prefix, up, lost, SNAPSHOT_MAX, *NODE_FIELDS]
            now, up, lost, *rows = self.runner.run("cluster/snapshot", [k.nodes, k.lost], args)
            # A scan may come by a node twice, and one may be lost between two pages.
            found.update((row[0], row) for row in rows if row[2] == b"up" or row[0] not in found)
            if not (up or lost):
                break
        return read_rows("node", found.items(), lambda row: read_node(now, row))

    def snapshot(self) -> list[Node]:
        """Those of :meth:`nodes` that can be read."""
        return self.nodes().read

    def event_rows(self, count: int = 100, after: str = "") -> Rows[Event]:
        """What happened since the event with the id ``after``, the latest first, ``count`` at most."""
        rows: Any = self.client.xrevrange(self.keys.events, min=f"({after}" if after else "-", count=count)
        return read_rows("event", ((row[0], row) for row in rows), lambda row: read_event(*row))

    def events(self, count: int = 100, after: str = "") -> list[Event]:
        """Those of :meth:`event_rows` that can be read."""
        return self.event_rows(count, after).read

    def counters(self) -> Counters:
        """What was counted since the cluster's first day."""
        return read_counters(self.client.hgetall(self.keys.counters))

    def placements(self, names: Sequence[str]) -> dict[str, dict[str, int]]:
        """Tasks placed on these nodes since they joined, by strategy. One round trip."""
        pipeline = self.client.pipeline(transaction=False)
        for name in names:
            # One call reads all: a node's hash has some dozens of fields.
            pipeline.hscan(self.keys.node(name), 0, match=f"{PLACED}*", count=1000)
        replies = pipeline.execute()
        return {name: read_placed(fields) for name, (_, fields) in zip(names, replies, strict=True)}

    def forgotten(self, names: Sequence[str]) -> dict[str, int]:
        """How many claims these nodes said that nothing in them knows. One round trip."""
        pipeline = self.client.pipeline(transaction=False)
        for name in names:
            pipeline.hget(self.keys.node(name), "forgotten")
        said = [shown(value or b"") for value in pipeline.execute(raise_on_error=False)]
        return {name: int(number(value)) for name, value in zip(names, said, strict=True)}

    def dead(self, receipt: str) -> DeadTask | None:
        """One task that was given up on; None if there is no such, or it can't be read."""
        return next(iter(self.dead_tasks([receipt])), None)

    def dead_rows(self, receipts: Sequence[str]) -> Rows[DeadTask | None]:
        """These tasks, None for those that are not among the dead any more. One round trip."""
        pipeline = self.client.pipeline(transaction=False)
        for receipt in receipts:
            pipeline.hgetall(self.keys.dead_entry(receipt))
        rows = zip(receipts, pipeline.execute(raise_on_error=False), strict=True)
        return read_rows("dead task", ((row[0], row) for row in rows), lambda row: read_dead(*row))

    def dead_tasks(self, receipts: Sequence[str]) -> list[DeadTask]:
        """Those of these tasks that are still among the dead and can be read. One round trip."""
        return [dead for dead in self.dead_rows(receipts).read if dead is not None]

    def dead_receipts(self, count: int = 1000, start: int = 0) -> list[str]:
        """Receipts of the tasks given up on, the latest first: ``count`` at most, from ``start`` on."""
        return texts(self.client.zrevrange(self.keys.dead, start, start + count - 1))

    def dead_count(self) -> int:
        """How many tasks were given up on and neither requeued nor discarded."""
        return int(self.client.zcard(self.keys.dead))

    def claimed_receipts(self, name: str) -> list[str]:
        """The receipts that the cluster thinks a node holds."""
        return [
            receipt for receipt in texts(self.client.hkeys(self.keys.claims(name))) if receipt.isdecimal()
        ]

    def depths(self, names: Sequence[str], claims: bool = True) -> dict[str, tuple[list[Depth], list[Depth]]]:
        """The placed and, unless not asked for, the claimed tasks of these nodes by home.

        A home may come more than once.

        In batches for all of them together: one round trip unless a node has more than BATCH tasks.
        """
        found: dict[str, tuple[list[Depth], list[Depth]]] = {name: ([], []) for name in names}
        places = dict.fromkeys(names, (0, "0" if claims else ""))
        for _ in range(MAX_BATCHES):
            if not places:
                break
            replies = self.runner.run_each(
                "cluster/depth", [self._depth_call(name, *at) for name, at in places.items()]
            )
            for name, (at, cursor, placed, claimed) in zip(list(places), replies, strict=True):
                found[name][0].extend(read_depths(placed))
                found[name][1].extend(read_depths(claimed))
                places[name] = (at, text(cursor) if text(cursor) != "0" else "")
            places = {name: (at, cursor) for name, (at, cursor) in places.items() if at >= 0 or cursor}
        return found

    def _depth_call(self, name: str, at: int, cursor: str) -> tuple[list[str], list[str | int]]:
        return [self.keys.inbox(name), self.keys.claims(name)], [at, cursor, BATCH, BATCH_BYTES]

    def size(self, lists: Sequence[str]) -> int:
        """Tasks that wait for the queue with these lists of kombu's: on them, on wait lists, in inboxes."""
        homes = {self.keys.shared(name) for name in lists}
        homes |= {key for key in self.wait_lists() if self.keys.list_of(key) in lists}
        names = self.node_names()
        pipeline = self.client.pipeline(transaction=False)
        for home in homes:
            pipeline.llen(home)
        for name in names:
            pipeline.zcard(self.keys.inbox(name))
        # What is of another type than ours is a stranger, and has none of our tasks.
        counts = [count if isinstance(count, int) else 0 for count in pipeline.execute(raise_on_error=False)]
        waiting, inboxes = counts[: len(homes)], counts[len(homes) :]
        busy = [name for name, count in zip(names, inboxes, strict=True) if count]
        placed = [depth for depths, _ in self.depths(busy, claims=False).values() for depth in depths]
        return sum(waiting) + sum(depth.count for depth in placed if depth.home in homes)

    def wait_rows(self) -> Rows[WaitList]:
        """The wait lists that tasks were left on, and what is no name of one."""
        names: Any = self.client.zrange(self.keys.waiting, 0, -1)
        return read_wait_lists(self.keys, names)

    def wait_lists(self) -> list[str]:
        """The keys of the wait lists that tasks were left on, also of those that no node can read."""
        return texts(self.client.zrange(self.keys.waiting, 0, -1))

    def strangers(self) -> list[Stranger]:
        """What can't be read: nodes, wait lists, tasks given up on and events. Some round trips."""
        every = (self.nodes(), self.wait_rows(), self.dead_rows(self.dead_receipts()), self.event_rows())
        return [stranger for rows in every for stranger in rows.strange]

    def node_names(self) -> list[str]:
        """Nodes that hold a lease, live or overdue."""
        return texts(self.client.zrange(self.keys.nodes, 0, -1))
