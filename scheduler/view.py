"""Looking at the cluster's state in Redis: nothing here changes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis import Redis
from redis.exceptions import NoScriptError, ResponseError

from scheduler.keys import Keys
from scheduler.models import DeadTask, Event, Node
from scheduler.replies import NODE_FIELDS, Depth, read_depths, read_node, text
from scheduler.scripts import script

#: Entries that one script call looks at or moves at most: about a millisecond of the server's time.
BATCH = 500
#: Batches that one method call runs at most, so that every loop here ends.
MAX_BATCHES = 20_000


class View:
    """The cluster's state behind one connection pool, to look at."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self.client = client
        self.keys = keys

    def _send(self, *command: str | bytes | int | float) -> Any:
        # redis-py's own way from a command to its reply costs half as much again as the round trip.
        pool = self.client.connection_pool
        connection: Any = pool.get_connection()
        try:
            connection.send_packed_command(connection.pack_command(*command))
            return connection.read_response()
        except ResponseError:
            raise
        except BaseException:
            connection.disconnect()  # a reply may still be under way
            raise
        finally:
            pool.release(connection)

    def _run(self, name: str, keys: Sequence[str], args: Sequence[str | bytes | int]) -> Any:
        operation = script(name)
        try:
            return self._send("EVALSHA", operation.sha, len(keys), *keys, *args)
        except NoScriptError:
            return self._send("EVAL", operation.source, len(keys), *keys, *args)

    def now_ms(self) -> int:
        """The server's clock in ms."""
        seconds, micros = self.client.time()
        return int(seconds) * 1000 + int(micros) // 1000

    def holder(self, name: str) -> tuple[str, str, int, float]:
        """Who holds a node name: incarnation, machine, pid, start time of the process in seconds."""
        values = self.client.hmget(self.keys.node(name), "incarnation", "machine", "pid", "started")
        incarnation, machine, pid, started = (text(value or b"") for value in values)
        return incarnation, machine, int(pid or 0), float(started or 0)

    def snapshot(self) -> list[Node]:
        """Every node with its exact outstanding, and those lost within the last hour."""
        k = self.keys
        now, *rows = self._run("snapshot", [k.nodes, k.lost], [k.prefix, *NODE_FIELDS])
        return [read_node(now, row) for row in rows]

    def events(self, count: int = 100) -> list[Event]:
        """What happened to nodes, the latest first, ``count`` at most."""
        rows: Any = self.client.xrevrange(self.keys.events, count=count)
        return [
            Event(
                kind=text(fields[b"kind"]),
                node=text(fields[b"node"]),
                count=int(fields[b"count"]),
                at=int(text(entry).partition("-")[0]) / 1000,
            )
            for entry, fields in rows
        ]

    def dead(self, receipt: str) -> DeadTask | None:
        """One task that was given up on."""
        entry: dict[str, Any] = {
            text(k): v for k, v in self.client.hgetall(self.keys.dead_entry(receipt)).items()
        }
        if not entry:
            return None
        return DeadTask(
            receipt=receipt,
            home=text(entry["home"]),
            message=entry["message"],
            reason=text(entry["reason"]),
            at=int(entry["at"]) / 1000,
            deaths=int(entry["deaths"]),
            nodes=tuple(text(entry["nodes"]).split()),
        )

    def dead_receipts(self, count: int = 1000) -> list[str]:
        """Receipts of the tasks given up on, the latest first, ``count`` at most."""
        return [text(receipt) for receipt in self.client.zrevrange(self.keys.dead, 0, count - 1)]

    def claimed_receipts(self, name: str) -> list[str]:
        """The receipts that the cluster thinks a node holds."""
        return [text(receipt) for receipt in self.client.hkeys(self.keys.claims(name))]

    def depth(self, name: str) -> tuple[list[Depth], list[Depth]]:
        """A node's placed and claimed tasks by home. In batches; a home may come more than once."""
        at, cursor = 0, "0"
        placed: list[Depth] = []
        claimed: list[Depth] = []
        for _ in range(MAX_BATCHES):
            keys = [self.keys.inbox(name), self.keys.claims(name)]
            at, next_cursor, in_inbox, in_claims = self._run("depth", keys, [at, cursor, BATCH])
            placed += read_depths(in_inbox)
            claimed += read_depths(in_claims)
            cursor = text(next_cursor) if text(next_cursor) != "0" else ""
            if at < 0 and not cursor:
                break
        return placed, claimed

    def size(self, lists: Sequence[str]) -> int:
        """Tasks that wait for the queue with these lists of kombu's: on them, on wait lists, in inboxes."""
        k = self.keys
        keys = [k.nodes, k.waiting, *map(k.shared, lists)]
        return int(self._run("size", keys, [k.prefix, *lists]))

    def wait_lists(self) -> list[str]:
        """The wait lists that tasks were left on."""
        return [text(key) for key in self.client.zrange(self.keys.waiting, 0, -1)]

    def node_names(self) -> list[str]:
        """Nodes that hold a lease, live or overdue."""
        return [text(name) for name in self.client.zrange(self.keys.nodes, 0, -1)]
