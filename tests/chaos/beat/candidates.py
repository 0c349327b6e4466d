"""The processes that may lead: started, killed, paused."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.beat.app import EVERY
from tests.chaos.machines import processes
from tests.chaos.machines.servers import Server
from tests.support.waiting import wait_until

#: Longest for a process to end, and to stand for election on a busy machine, in seconds.
_ENDS, _STANDS = 20.0, 60.0
#: What each of them logs once.
_STANDING = b"Stands for election"


@dataclass(frozen=True, slots=True)
class Wishes:
    """``kills`` by SIGKILL and ``pauses`` by SIGSTOP of who leads, ``every`` s after it leads, or earlier."""

    rate: int = 200
    kills: int = 20
    pauses: int = 2
    every: float = 4.0
    ttl: float = 5.0
    processes: int = 3
    seed: int = 0
    #: Before the first entry goes on, so that the start of the processes is no lateness.
    head_start: float = 10.0


class Candidates:
    """The beat processes of a run; who dies is replaced."""

    def __init__(self, wishes: Wishes, server: Server, folder: Path) -> None:
        self._wishes, self._server = wishes, server
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._log, self._started = folder / "beat.log", 0
        for _ in range(wishes.processes):
            self.start()

    def start(self) -> None:
        """Start one more."""
        entries = int(self._wishes.rate * EVERY)
        extra = {"TEST_BROKER": self._server.url, "TEST_ENTRIES": str(entries), "PYTHONWARNINGS": "ignore"}
        arguments = ["beat", "-A", "tests.chaos.beat.app", "--ttl", str(self._wishes.ttl)]
        process = processes.python("switchyard_workers.cli", arguments, {**os.environ, **extra}, self._log)
        self._running[process.pid] = process
        self._started += 1

    def wait_for_a_standby(self) -> None:
        """Until all stand: how long Python takes to start says nothing of how soon a standby takes over."""

        def stand() -> bool:
            return self._log.read_bytes().count(_STANDING) >= self._started

        wait_until(stand, "every candidate stands for election", timeout=_STANDS, look=0.1)

    def kill(self, pid: int) -> None:
        """SIGKILL one, and start another."""
        processes.kill_group(self._running.pop(pid))
        self.start()

    def pause(self, pid: int, seconds: float) -> None:
        """SIGSTOP one for a while."""
        processes.signal_group(self._running[pid], signal.SIGSTOP)
        time.sleep(seconds)
        processes.signal_group(self._running[pid], signal.SIGCONT)

    def stop(self) -> list[int]:
        """SIGTERM to all; their exit codes."""
        for process in self._running.values():
            processes.signal_group(process, signal.SIGTERM)
        return [process.wait(_ENDS) for process in self._running.values()]

    def close(self) -> None:
        """Kill what still runs."""
        for process in self._running.values():
            if process.poll() is None:
                processes.kill_group(process)
