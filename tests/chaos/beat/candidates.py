"""The processes that may lead: started, killed, paused."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.chaos import processes
from tests.chaos.beat.app import EVERY
from tests.chaos.servers import Server

#: Longest for a process to end, in seconds.
_ENDS = 20.0


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
        self._wishes, self._server, self._folder = wishes, server, folder
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        for _ in range(wishes.processes):
            self.start()

    def start(self) -> None:
        """Start one more."""
        entries = int(self._wishes.rate * EVERY)
        extra = {"TEST_BROKER": self._server.url, "TEST_ENTRIES": str(entries), "PYTHONWARNINGS": "ignore"}
        arguments = ["beat", "-A", "tests.chaos.beat.app", "--ttl", str(self._wishes.ttl)]
        process = processes.python(
            "switchyard_workers.cli", arguments, {**os.environ, **extra}, self._folder / "beat.log"
        )
        self._running[process.pid] = process

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
