"""Processes that a benchmark starts, and stops by their id."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import psutil

from benchmarks.machines.app import BROKER, SIDE
from benchmarks.sides import Side

ROOT = Path(__file__).parents[2]
#: A worker with nothing but no-ops in hand stops within this many seconds, or is killed.
_STOPS_WITHIN = 15.0
_BYTES_PER_MB = 1_000_000
#: Bytes of a log that an error message shows: the cause stands at the start.
_LOG_SHOWN = 100_000


class Running:
    """A process of ours while it runs."""

    def __init__(self, process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
        self._process = process
        self._log = log

    def text(self) -> str:
        """The start of what it has written so far."""
        return os.pread(self._log.fileno(), _LOG_SHOWN, 0).decode(errors="replace")

    def alive(self) -> bool:
        """True. Raises RuntimeError with the log if the process has ended."""
        if self._process.poll() is not None:
            raise RuntimeError(f"process ended with {self._process.returncode}:\n{self.text()}")
        return True

    def cpu_seconds(self) -> float:
        """Processor time of the process and its living children, user and system."""
        parent = psutil.Process(self._process.pid)
        times = [process.cpu_times() for process in (parent, *parent.children(recursive=True))]
        return sum(spent.user + spent.system for spent in times)

    def rss_mb(self) -> float:
        """Resident memory of the process itself, without its children."""
        return float(psutil.Process(self._process.pid).memory_info().rss) / _BYTES_PER_MB


@contextmanager
def running(module: str, *args: str, env: Mapping[str, str] | None = None) -> Iterator[Running]:
    """Run ``python -m module`` until the block ends."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", module, *args],
            env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
            stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            yield Running(process, log)
        finally:
            _stop(process)


@contextmanager
def worker(side: Side, broker: str, pool: str, slots: int) -> Iterator[Running]:
    """Run a worker of this side; the command is the same for both."""
    options = [
        "-A",
        "benchmarks.machines.app",
        "worker",
        "-n",
        f"{side}@benchmark",
        "-P",
        pool,
        "-c",
        str(slots),
    ]
    quiet = ["-l", "warning", "--without-mingle", "--without-gossip"]
    with running("celery", *options, *quiet, env={SIDE: side.value, BROKER: broker}) as started:
        yield started


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_STOPS_WITHIN)
    # Its session is its own, so this reaches what a killed parent leaves behind and nobody else.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(_STOPS_WITHIN)
