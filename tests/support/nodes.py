"""Real worker processes for tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from switchyard.cluster.keys import Keys
from switchyard.cluster.state import State
from switchyard.models import Node, NodeState
from tests.support.servers import Server
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
#: The application that worker processes of tests run.
APP = "tests.support.app"


@dataclass(frozen=True, slots=True)
class WorkerProcess:
    """A worker process, its log, and the name of its node."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def text(self) -> str:
        """What it has written so far."""
        return self.log.read_text(errors="replace")

    def terminate(self, timeout: float = 90.0) -> int:
        """SIGTERM, then its exit code. Billiard may take 30 s more than the last task: docs/chaos.md."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout)

    def kill(self) -> None:
        """SIGKILL to the process and, with its session, to all of its pool."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)


def state_of(server: Server, db: int = 0) -> State:
    """The cluster's state on a server."""
    return State(server.client(db), Keys())


def environment(server: Server, db: int = 0, **extra: str) -> dict[str, str]:
    """What a process needs to find the application and the server."""
    mine = {"PYTHONPATH": str(ROOT), "TEST_BROKER": server.url(db), "PYTHONWARNINGS": "ignore"}
    return {**os.environ, **mine, **extra}


def node_of(server: Server, name: str, db: int = 0) -> Node | None:
    """The node as the cluster sees it."""
    return next((node for node in state_of(server, db).snapshot() if node.name == name), None)


def known(server: Server, name: str, db: int = 0) -> Node:
    """The node, which the cluster must know."""
    node = node_of(server, name, db)
    assert node is not None, f"the cluster does not know {name}"
    return node


def claims_of(server: Server, name: str, db: int = 0) -> int:
    """How many claims the node holds."""
    node = node_of(server, name, db)
    return node.claims if node is not None else 0


def is_up(server: Server, name: str, db: int = 0) -> bool:
    """Whether the cluster lists the node as up."""
    node = node_of(server, name, db)
    return node is not None and node.state is NodeState.UP


@contextmanager
def worker(
    server: Server,
    tmp_path: Path,
    name: str = "n1",
    slots: int = 2,
    pool: str = "threads",
    queues: str = "celery",
    options: Sequence[str] = (),
    celery_options: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    db: int = 0,
    lease: float = 5.0,
    ready: bool = True,
    stock: bool = False,
    mingle: bool = False,
) -> Iterator[WorkerProcess]:
    """Run ``switchyard worker`` (or plain ``celery worker`` if ``stock``) until the block ends."""
    if stock:
        command = ["-m", "celery", "-A", APP, "worker", "-n", f"{name}@%h", "-c", str(slots), "-Q", queues]
        command += ["-P", pool, "--loglevel", "INFO", *celery_options]
    else:
        command = ["-m", "switchyard_workers.cli", "worker", "-A", APP, "--node", name, "--slots", str(slots)]
        command += ["--queues", queues, *options]
        command += [
            "--",
            "-P",
            pool,
            "--loglevel",
            "INFO",
            *([] if mingle else ["--without-mingle", "--without-gossip"]),
            *celery_options,
        ]
    log = tmp_path / f"{name}.{len(list(tmp_path.iterdir()))}.log"
    quick = {"SWITCHYARD_LEASE": str(lease), "SWITCHYARD_RENEW": str(min(1.0, lease / 5))}
    extra = {**quick, **(env or {}), **({"TEST_STOCK": "1"} if stock else {})}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, *command],
            env=environment(server, db, **extra),
            cwd=ROOT,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    running = WorkerProcess(name, process, log)
    try:
        if ready:
            _wait_ready(running, server, db, stock)
        yield running
    finally:
        _stop(running)


def _wait_ready(running: WorkerProcess, server: Server, db: int, stock: bool) -> None:
    def ready() -> bool:
        if running.process.poll() is not None:
            raise AssertionError(f"{running.name} ended with {running.process.returncode}:\n{running.text()}")
        return " ready." in running.text() and (stock or is_up(server, running.name, db))

    wait_until(ready, f"{running.name} is ready: {running.text()}", timeout=40)


def _stop(running: WorkerProcess) -> None:
    with suppress(ProcessLookupError):
        os.killpg(running.process.pid, signal.SIGKILL)
    running.process.wait(10)
