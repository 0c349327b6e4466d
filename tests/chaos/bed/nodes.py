"""One node of the cluster under test: a Celery worker, and its link to the server."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.bed.app import QUEUE
from tests.chaos.machines import processes
from tests.chaos.machines.network import Link

#: For a worker to write down the stacks of its threads, in seconds.
_CRY = 1.0


@dataclass
class Node:
    """A name that worker processes come and go under.

    ``fault`` is what is being done to it now, None if nothing; ``options`` go to ``celery worker``. ``link``
    is None where nothing can be between it and the server.
    """

    name: str
    pool: str
    slots: int
    env: Mapping[str, str]
    folder: Path
    options: Sequence[str] = ()
    link: Link | None = None
    process: subprocess.Popen[bytes] | None = None
    fault: str | None = None

    @property
    def running(self) -> subprocess.Popen[bytes]:
        """Its process, which must have been started."""
        assert self.process is not None, f"{self.name} was never started"
        return self.process

    @property
    def log(self) -> Path:
        """What all its processes wrote."""
        return self.folder / f"{self.name}.log"

    def start(self) -> None:
        """Start a process under this name. What an earlier one left running is killed first."""
        if self.process is not None:
            processes.kill_group(self.process)
        options = ["-A", "tests.chaos.bed.app", "worker", "-n", f"{self.name}@%h", "-c", str(self.slots)]
        options += ["-P", self.pool, "-Q", QUEUE, "--loglevel", "INFO"]
        options += ["--without-mingle", "--without-gossip", *self.options]
        enter = self.link.enter if self.link else ()
        self.process = processes.python("celery", options, self.env, self.log, enter)
        self.be_calm()

    def be_calm(self) -> None:
        """Nothing is done to it any more."""
        self.fault = None

    def _ready_file(self) -> Path:
        return self.folder / f"{self.name}.{self.running.pid}.ready"

    def is_ready(self) -> bool:
        """Whether its process consumes, and nothing is being done to it."""
        if self.process is None or self.fault is not None or self.process.poll() is not None:
            return False
        return self._ready_file().exists()

    def cry(self) -> None:
        """Let it log where its threads are, as Celery does on SIGUSR1: it hangs and is about to be killed."""
        self.running.send_signal(signal.SIGUSR1)
        time.sleep(_CRY)

    def stop(self) -> None:
        """Kill whatever of it is left."""
        if self.process is not None:
            processes.signal_group(self.process, signal.SIGCONT)
            processes.kill_group(self.process)
        if self.link is not None:
            self.link.close()
