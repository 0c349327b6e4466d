"""Processes that are forked, so that fifty of them start at once, and what was done to them."""

from __future__ import annotations

import os
import signal
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

Body = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Hit:
    """A fault: ``kill``, ``stop`` or ``partition`` of a process, from when to when (Unix time in seconds)."""

    kind: str
    pid: int
    start: float
    end: float = float("inf")


@dataclass(frozen=True, slots=True)
class Stop:
    """A process that stands still, our own or its proxy, until when (seconds of the monotonic clock)."""

    kind: str
    target: int
    until: float


@dataclass
class Crew:
    """The living, and all that was done to them and to the dead."""

    members: dict[int, Body] = field(default_factory=dict)
    hits: list[Hit] = field(default_factory=list)
    stopped: dict[int, Stop] = field(default_factory=dict)

    def join(self, body: Body) -> int:
        """Fork a process that runs ``body`` until it is killed, or this one is gone."""
        pid = os.fork()
        if pid == 0:
            _run(body)
        self.members[pid] = body
        return pid

    def kill(self, pid: int) -> None:
        """SIGKILL one and let a new one take its place."""
        self.hits.append(Hit("kill", pid, time.time()))
        self._end(pid)
        self.join(self.members.pop(pid))

    def stop(self, pid: int, seconds: float, proxy: int | None = None) -> None:
        """SIGSTOP one for so many seconds, or the proxy that it speaks through."""
        kind = "stop" if proxy is None else "partition"
        self.hits.append(Hit(kind, pid, time.time()))
        self.stopped[pid] = Stop(kind, proxy or pid, time.monotonic() + seconds)
        os.kill(proxy or pid, signal.SIGSTOP)

    def resume(self, all_of_them: bool = False) -> None:
        """SIGCONT those whose time has come."""
        for pid, stop in list(self.stopped.items()):
            if all_of_them or time.monotonic() >= stop.until:
                del self.stopped[pid]
                os.kill(stop.target, signal.SIGCONT)
                self._note_end(stop.kind, pid)

    def _note_end(self, kind: str, pid: int) -> None:
        index = max(i for i, hit in enumerate(self.hits) if (hit.kind, hit.pid) == (kind, pid))
        self.hits[index] = Hit(kind, pid, self.hits[index].start, time.time())

    def healthy(self) -> list[int]:
        """Those that run."""
        return [pid for pid in self.members if pid not in self.stopped]

    def dismiss(self) -> None:
        """End all."""
        for pid in self.members:
            self._end(pid)
        self.members.clear()
        self.stopped.clear()

    def _end(self, pid: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        self.stopped.pop(pid, None)


def _run(body: Body) -> None:
    parent = os.getppid()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        while os.getppid() == parent:
            body()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)
