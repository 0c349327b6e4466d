"""A partition is silence: nothing arrives, nothing is refused or closed; and it leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.machines import namespaces, network
from tests.chaos.machines.network import PartitionBy
from tests.chaos.machines.servers import Server
from tests.support.waiting import wait_until

#: Asks the server over one connection, once for each line that it reads, with so many seconds of patience.
_ASK = """
import socket, sys
with socket.create_connection(("{host}", {port})) as connection:
    for patience in sys.stdin:
        connection.settimeout(float(patience))
        connection.sendall(b"PING\\r\\n")
        try:
            print(connection.recv(7).decode().strip(), flush=True)
        except TimeoutError:
            print("silence", flush=True)
"""


@pytest.mark.parametrize("by", [PartitionBy.NAMESPACES, PartitionBy.PROXY])
def test_a_silent_link_closes_nothing_and_heals(by: PartitionBy, tmp_path: Path) -> None:
    """A node would notice at once that it is cut off, and the fault would test a lost connection instead."""
    if by is PartitionBy.NAMESPACES and not namespaces.are_allowed():
        pytest.skip("this machine allows no network namespaces")
    with network.made(by, tmp_path) as joined:
        assert joined is not None
        server = Server(tmp_path / "redis", enter=joined.enter)
        server.start()
        link = joined.link("n0", server.port)
        try:
            host, port = link.url.removeprefix("redis://").removesuffix("/0").split(":")
            wait_until(lambda: _connects(link, host, port), "the link is up")
            with _asker(link, host, port) as asker:
                assert _answer(asker, 5) == "+PONG"
                link.silence()
                assert _answer(asker, 0.5) == "silence"
                link.heal()
                assert _answer(asker, 10) == "+PONG"
                asker.kill()
        finally:
            link.close()
            server.close()


def test_namespaces_are_gone_after_an_interrupt() -> None:
    """Every run that is stopped with Ctrl-C would leave namespaces on the machine."""
    if not namespaces.are_allowed():
        pytest.skip("this machine allows no network namespaces")

    def interrupted() -> None:
        with namespaces.made() as routed:
            routed.link("n0", 1)
            assert len(_ours()) == 3
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert _ours() == []


def _ours() -> list[str]:
    listed = subprocess.run(["ip", "netns", "list"], check=True, capture_output=True, text=True).stdout
    return [line for line in listed.splitlines() if line.startswith(f"chaos-{os.getpid()}-")]


def _connects(link: network.Link, host: str, port: str) -> bool:
    """A proxy needs a moment to listen."""
    with _asker(link, host, port) as asker:
        asker.communicate("5\n")
    return asker.returncode == 0


def _asker(link: network.Link, host: str, port: str) -> subprocess.Popen[str]:
    command = [*link.enter, sys.executable, "-c", _ASK.format(host=host, port=port)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)


def _answer(asker: subprocess.Popen[str], patience: float) -> str:
    assert asker.stdin is not None
    assert asker.stdout is not None
    asker.stdin.write(f"{patience}\n")
    asker.stdin.flush()
    return asker.stdout.readline().strip()
