"""What lies between a node and its server, so that it can fall silent: a partition closes no connection."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from tests.chaos.machines import namespaces, processes
from tests.support.servers import free_port


class PartitionBy(StrEnum):
    """How a partition is made."""

    NAMESPACES = "network namespaces"
    PROXY = "silent proxy"
    NOTHING = "-"


class Link(Protocol):
    """One node's way to the server.

    ``enter`` is what a command begins with so that it runs on the node's side; ``url`` is the broker there.
    """

    enter: tuple[str, ...]
    url: str

    def silence(self) -> None:
        """Let nothing through any more, in either direction, and close nothing."""

    def heal(self) -> None:
        """Let everything through again."""

    def close(self) -> None:
        """End what was started for it."""


class Network(Protocol):
    """Makes links. ``enter`` is what the commands of server and producers begin with."""

    enter: tuple[str, ...]

    def link(self, name: str, port: int) -> Link:
        """A node's link to the server on this port."""


@contextmanager
def made(by: PartitionBy, folder: Path) -> Iterator[Network | None]:
    """The network of one run; it is gone afterwards."""
    if by is PartitionBy.NAMESPACES:
        with namespaces.made() as routed:
            yield routed
    else:
        yield Proxies(folder) if by is PartitionBy.PROXY else None


def best() -> PartitionBy:
    """Network namespaces where this machine lets us make them."""
    return PartitionBy.NAMESPACES if namespaces.are_allowed() else PartitionBy.PROXY


class Proxies:
    """A proxy process before each node, on loopback."""

    enter: tuple[str, ...] = ()

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def link(self, name: str, port: int) -> Link:
        """Start the node's proxy."""
        return _Proxied(port, self._folder / f"{name}.proxy.log")


class _Proxied:
    def __init__(self, target: int, log: Path) -> None:
        port = free_port()
        self.enter: tuple[str, ...] = ()
        self.url = f"redis://127.0.0.1:{port}/0"
        self._process = processes.python(
            "tests.chaos.machines.proxy", [str(port), str(target)], os.environ, log
        )

    def silence(self) -> None:
        processes.signal_group(self._process, signal.SIGSTOP)

    def heal(self) -> None:
        processes.signal_group(self._process, signal.SIGCONT)

    def close(self) -> None:
        self.heal()
        processes.kill_group(self._process)
