"""The Redis server of a run: killed and started again on the same port and folder."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import redis

from tests.chaos.machines import processes
from tests.chaos.machines.aof import Growth
from tests.support import clock
from tests.support.servers import binary, free_port
from tests.support.waiting import wait_until

#: Name of the Unix socket in the server's folder; a path of one may have 107 characters.
_SOCKET = "s"
_LOOPBACK = ("--bind", "127.0.0.1")
#: In a network of our own only, where nobody else is.
_EVERYWHERE = ("--bind", "0.0.0.0", "--protected-mode", "no")
#: For a server to answer after its start, in seconds: it may have a long append-only file to read.
_ANSWERS = 30.0


class Durability(StrEnum):
    """Its ``appendfsync``, or no append-only file at all."""

    ALWAYS = "always"
    EVERYSEC = "everysec"
    NONE = "-"

    @property
    def forgets(self) -> float:
        """Seconds before a crash of the machine that the disk need not have."""
        return 1.0 if self is Durability.EVERYSEC else 0.0


class Server:
    """A ``redis-server`` process of our own, on loopback or in the network that ``enter`` is the way into."""

    _program = binary()

    def __init__(
        self,
        folder: Path,
        options: Sequence[str] = (),
        name: str = "redis",
        durability: Durability = Durability.NONE,
        enter: Sequence[str] = (),
    ) -> None:
        self.port = free_port()
        self.folder = folder
        self.name = name
        self.durability = durability
        self._enter = enter
        self._socket = folder.resolve() / _SOCKET
        self._options = [*options, *durable(durability)]
        self._options += ["--unixsocket", str(self._socket), *_EVERYWHERE] if enter else _LOOPBACK
        self._growth: Growth | None = None
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
        """A client of its first database that gives up soon; a Unix socket leads into any network."""
        if self._enter:
            return redis.Redis(unix_socket_path=str(self._socket), socket_timeout=5)
        return redis.Redis(port=self.port, socket_timeout=5, socket_connect_timeout=5)

    def start(self, follows: Server | None = None) -> None:
        """Start it, as a replica if there is somebody to follow, and wait until it answers."""
        self.folder.mkdir(exist_ok=True)
        command = [*self._enter, self._program, "--port", str(self.port), "--save", ""]
        command += ["--dir", str(self.folder), *self._options]
        if follows is not None:
            command += ["--replicaof", "127.0.0.1", str(follows.port)]
        log = self.folder / f"{self.name}.log"
        self._process = processes.start(command, self._env(), log)
        wait_until(self.answers, f"redis-server answers on {self.port}, see {log}", timeout=_ANSWERS)
        if self.durability.forgets and self._growth is None:
            self._growth = Growth(self.folder)

    def _env(self) -> Mapping[str, str]:
        return processes.PLAIN

    @property
    def is_started(self) -> bool:
        """Whether it was started and not killed since."""
        return self._process is not None

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

    def forget(self, crash: float) -> float:
        """Take from the file of the killed server what a crash of the machine then may have taken.

        Returns of how many seconds before the crash.
        """
        if self._growth is not None:
            self._growth.forget(self.durability.forgets, crash)
        return self.durability.forgets

    def close(self) -> None:
        """SIGKILL it and forget nothing any more."""
        self.kill()
        if self._growth is not None:
            self._growth.stop()


class Stepped(Server):
    """One whose clock can be moved. It needs libfaketime (apt-get install faketime)."""

    _program = clock.PROGRAM

    @property
    def _offset(self) -> Path:
        return self.folder / "offset"

    def _env(self) -> Mapping[str, str]:
        return {**processes.PLAIN, **clock.environment(self._offset)}

    def step(self, seconds: float) -> None:
        """Set its clock so far from the machine's."""
        client = self.client()
        try:
            clock.step(self._offset, client, seconds)
        finally:
            client.close()


def durable(durability: Durability = Durability.ALWAYS) -> list[str]:
    """With these an answered command survives a SIGKILL; no rewrite comes between two looks at the file."""
    if durability is Durability.NONE:
        return []
    return ["--appendonly", "yes", "--appendfsync", durability, "--auto-aof-rewrite-percentage", "0"]
