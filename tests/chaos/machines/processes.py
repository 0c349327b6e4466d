"""Processes that this run started, each the leader of a session of its own; ended by process id only."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[3]
#: The environment of programs that need nothing from ours.
PLAIN = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"}
#: For a process that was killed to be gone, in seconds.
_GONE = 20.0


def start(
    arguments: Sequence[str], env: Mapping[str, str], log: Path, cwd: Path = ROOT
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own; what it writes goes to the end of ``log``."""
    with log.open("ab") as out:
        return subprocess.Popen(
            list(arguments), env=dict(env), cwd=cwd, stdout=out, stderr=out, start_new_session=True
        )


def python(
    module: str, arguments: Sequence[str], env: Mapping[str, str], log: Path, enter: Sequence[str] = ()
) -> subprocess.Popen[bytes]:
    """Start a Python module, in the network that ``enter`` is the way into."""
    return start([*enter, sys.executable, "-m", module, *arguments], env, log)


def signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send a signal to the process and all that it forked."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def signal_process(pid: int, number: signal.Signals) -> None:
    """Send a signal to one process of ours, whether it still lives or not."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL the process and all that it forked, and wait for it."""
    signal_group(process, signal.SIGKILL)
    process.wait(_GONE)


def children(process: subprocess.Popen[bytes]) -> list[int]:
    """Process ids of what it forked and is alive."""
    with suppress(psutil.NoSuchProcess):
        return [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
    return []


def alive(pids: Sequence[int]) -> list[int]:
    """Those that still run; a zombie does not."""
    found = []
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
    return found
