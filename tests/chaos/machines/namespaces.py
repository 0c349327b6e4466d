"""Network namespaces of our own: one for the server, one for each node, and a router between them all.

Nothing is connected to the machine's own network. To cut a node off, the router drops its packets without
a word, as a dead switch does. Needs root and iproute2; all names begin with ``chaos-<our pid>-``.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

#: For one command of ``ip``, in seconds.
_TAKES = 20.0
_FORWARD = "echo 1 > /proc/sys/net/ipv4/ip_forward"


def are_allowed() -> bool:
    """Whether this machine lets us make, join and route namespaces."""
    if shutil.which("ip") is None:
        return False
    with suppress(subprocess.CalledProcessError), made() as routed:
        link = routed.link("probe", 0)
        link.silence()
        link.heal()
        return True
    return False


@contextmanager
def made() -> Iterator[Routed]:
    """The namespaces of one run, removed at its end. Raises CalledProcessError where that is not allowed."""
    routed = Routed(f"chaos-{os.getpid()}-")
    try:
        routed.start()
        yield routed
    finally:
        routed.remove()


class Routed:
    """The router and all that is connected to it. ``enter`` begins a command that runs beside the server."""

    def __init__(self, prefix: str) -> None:
        self.enter: tuple[str, ...] = ()
        self._router = f"{prefix}router"
        self._prefix = prefix
        self._names: list[str] = []
        self._subnets = itertools.count()

    def start(self) -> None:
        """Make the router and the server's place."""
        self._add(self._router)
        _ip("netns", "exec", self._router, "sh", "-c", _FORWARD)
        self.enter, self._server = self._connect("server")

    def link(self, name: str, port: int) -> Wire:
        """A node's place, from where the server is one hop away."""
        enter, address = self._connect(name)
        return Wire(self._router, enter, address, f"redis://{self._server}:{port}/0")

    def remove(self) -> None:
        """Take all of it away; what still runs in there keeps its own until it ends."""
        for name in reversed(self._names):
            with suppress(subprocess.CalledProcessError):
                _ip("netns", "del", name)
        self._names.clear()

    def _connect(self, name: str) -> tuple[tuple[str, ...], str]:
        """What begins a command in the new place, and its address."""
        space, number = f"{self._prefix}{name}", next(self._subnets)
        here, there = f"10.77.{number}.1", f"10.77.{number}.2"
        self._add(space)
        port = f"to{number}"
        _ip(
            "link", "add", port, "netns", self._router, "type", "veth", "peer", "name", "eth0", "netns", space
        )
        _raise(self._router, port, here)
        _raise(space, "eth0", there)
        _ip("-n", space, "route", "add", "default", "via", here)
        return ("ip", "netns", "exec", space), there

    def _add(self, space: str) -> None:
        _ip("netns", "add", space)
        self._names.append(space)
        _ip("-n", space, "link", "set", "lo", "up")


class Wire:
    """A node's connection to the router."""

    def __init__(self, router: str, enter: tuple[str, ...], address: str, url: str) -> None:
        self.enter = enter
        self.url = url
        self._router = router
        self._rules = (("from", address, "blackhole"), ("to", address, "blackhole"))

    def silence(self) -> None:
        """Drop what comes from the node and what goes to it."""
        for rule in self._rules:
            _ip("-n", self._router, "rule", "add", *rule)

    def heal(self) -> None:
        """Pass on again."""
        for rule in self._rules:
            _ip("-n", self._router, "rule", "del", *rule)

    def close(self) -> None:
        """Nothing of its own is left to end: its namespace goes with all others."""


def _raise(space: str, port: str, address: str) -> None:
    _ip("-n", space, "addr", "add", f"{address}/30", "dev", port)
    _ip("-n", space, "link", "set", port, "up")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=_TAKES)
