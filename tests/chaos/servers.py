"""The Redis server of a run: killed and started again on the same port and folder."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import redis

from tests.chaos import processes
from tests.support.servers import binary, free_port
from tests.support.waiting import wait_until

#: For a server to answer after its start, in seconds: it may have a long append-only file to read.
_ANSWERS = 30.0


class Server:
    """A ``redis-server`` process of our own on loopback."""

    def __init__(self, folder: Path, options: Sequence[str], name: str = "redis", port: int = 0) -> None:
        self.port = port or free_port()
        self.folder = folder
        self.name = name
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The broker URL of its first database."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def transport_options(self) -> Mapping[str, Any]:
        """What kombu must know beside the URL."""
        return {}

    def client(self) -> redis.Redis:
        """A client of its first database that gives up soon."""
        return redis.Redis(port=self.port, socket_timeout=5, socket_connect_timeout=5)

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.folder.mkdir(exist_ok=True)
        command = [binary(), "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        command += ["--dir", str(self.folder), *self._options]
        log = self.folder / f"{self.name}.log"
        self._process = processes.start(command, processes.PLAIN, log)
        wait_until(self.answers, f"redis-server answers on {self.port}, see {log}", timeout=_ANSWERS)

    def answers(self) -> bool:
        """Whether it takes commands."""
        client = self.client()
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()

    def role(self) -> str:
        """``master`` or ``slave``, as the server says."""
        return str(self._replication()["role"])

    def follows(self) -> bool:
        """Whether it is a replica in step with its primary."""
        return self._replication().get("master_link_status") == "up"

    def _replication(self) -> Mapping[str, Any]:
        client = self.client()
        try:
            found: Mapping[str, Any] = client.info("replication")
        finally:
            client.close()
        return found

    def pause(self) -> None:
        """SIGSTOP it: it answers nobody and forgets nothing."""
        if self._process is not None:
            processes.signal_group(self._process, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT it."""
        if self._process is not None:
            processes.signal_group(self._process, signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL it."""
        if self._process is not None:
            processes.kill_group(self._process)
            self._process = None


def durable() -> list[str]:
    """Options under which an answered command survives a SIGKILL of the server."""
    return ["--appendonly", "yes", "--appendfsync", "always"]
