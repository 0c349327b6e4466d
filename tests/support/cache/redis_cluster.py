"""A Redis Cluster of primaries, of server processes of our own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.chaos.machines.servers import Server
from tests.support.servers import free_port
from tests.support.waiting import wait_until

_SLOTS = 16_384


@contextmanager
def running(folder: Path, count: int = 3) -> Iterator[list[Server]]:
    """So many servers that agree that they are one cluster."""
    folder.mkdir(exist_ok=True)
    with ExitStack() as stack:
        nodes: list[Server] = []
        buses = [free_port() for _ in range(count)]
        for number, bus in enumerate(buses):
            options = [
                "--cluster-enabled",
                "yes",
                "--cluster-node-timeout",
                "2000",
                "--cluster-port",
                str(bus),
            ]
            node = Server(folder / str(number), options)
            node.start()
            stack.callback(node.kill)
            nodes.append(node)
        for number, node in enumerate(nodes):
            first, after = number * _SLOTS // count, (number + 1) * _SLOTS // count
            _call(node, "CLUSTER ADDSLOTSRANGE", first, after - 1)
        for node in nodes[1:]:
            _call(node, "CLUSTER MEET", "127.0.0.1", nodes[0].port, buses[0])
        wait_until(lambda: all(_agrees(node, count) for node in nodes), f"{count} nodes form a cluster", 30)
        yield nodes


def slot(node: Server, name: str) -> int:
    """The slot that a name is in."""
    return int(_call(node, "CLUSTER KEYSLOT", name))


def move(nodes: list[Server], slot: int, target: Server) -> None:
    """Give an empty slot to a node."""
    owner = _call(target, "CLUSTER MYID").decode()
    for node in [target, *nodes]:
        _call(node, "CLUSTER SETSLOT", slot, "NODE", owner)


def _agrees(node: Server, count: int) -> bool:
    info = _call(node, "CLUSTER INFO")
    return bool(info["cluster_state"] == "ok" and info["cluster_known_nodes"] == str(count))


def _call(node: Server, *command: str | int) -> Any:
    client = node.client()
    try:
        return client.execute_command(*command)
    finally:
        client.close()
