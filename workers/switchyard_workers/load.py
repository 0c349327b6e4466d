"""Samples how busy this machine is."""

from __future__ import annotations

import functools
import json
import os
import platform
import socket
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import psutil

from switchyard.models import Load
from switchyard.node_figures import node_figures


def sample(
    active: int, done: int, runtimes: Mapping[str, float], settled: Mapping[str, int], renewal: float
) -> Load:
    """The load since the last call, with the node's own figures put in.

    CPU is the mean over the time between two calls; the first call of a process says 0.
    """
    return Load(
        cpu=psutil.cpu_percent(None),
        memory=psutil.virtual_memory().percent,
        load1=round(psutil.getloadavg()[0], 2),
        active=active,
        done=done,
        runtimes={name: round(seconds, 6) for name, seconds in runtimes.items()},
        settled=settled,
        renewal=round(renewal, 6),
        cache=node_figures(),
    )


@functools.cache
def versions() -> dict[str, str]:
    """Versions that an operator asks for first."""
    packages = ("celery-switchyard", "celery", "kombu", "redis")
    return {"python": platform.python_version(), **{name: _version(name) for name in packages}}


def _version(package: str) -> str:
    try:
        return version(package)
    except ModuleNotFoundError:  # run from a source tree
        return "unknown"


@functools.cache
def machine() -> str:
    """Names this boot of this machine and its process namespace, so that a process id means something."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    stamp = boot.read_text().strip() if boot.exists() else f"{psutil.boot_time():.0f}"
    namespace = Path("/proc/self/ns/pid")
    return f"{socket.gethostname()}/{stamp}/{namespace.readlink() if namespace.exists() else ''}"


def is_dead(on_machine: str, pid: int, ticks: int) -> bool:
    """Whether the process that started at these ticks is known to be gone.

    False for a process of another machine. ``ticks`` 0 are not known: then any process of this id counts.
    """
    if on_machine != machine() or pid <= 0:
        return False
    try:
        if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
    except psutil.NoSuchProcess:
        return True
    return ticks != 0 and start_ticks(pid) not in (0, ticks)


def start_ticks(pid: int) -> int:
    """When this process started, in ticks since its machine did; 0 if it is gone or this system does not say.

    No time of day: that moves with every step of the machine's clock, and a live process would seem another.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    # The 22nd field; the second, in brackets, is a name that may hold blanks and brackets.
    return int(stat.rpartition(")")[2].split()[19])


def process() -> dict[str, str | int]:
    """Who this process is, for its node's hash."""
    return {
        "machine": machine(),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        # For nodes of version 0.1, which tell a process by it.
        "started": f"{psutil.Process(os.getpid()).create_time():.2f}",
        "ticks": start_ticks(os.getpid()),
        "versions": json.dumps(versions()),
    }
