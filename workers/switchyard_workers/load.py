"""Samples how busy this machine is."""

from __future__ import annotations

import functools
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


def is_dead(on_machine: str, pid: int, started: float) -> bool:
    """Whether that process is known to be gone; False for a process of another machine."""
    if on_machine != machine() or pid <= 0:
        return False
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - started) > 1 or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def process_started() -> float:
    """When this process started, in seconds since the epoch."""
    return psutil.Process(os.getpid()).create_time()
