"""The demo's nodes: each a ``switchyard worker`` in a process group, which a Ctrl-C here does not reach."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tasks.waiting import DemoFailed

#: The folder that ``tasks`` is in: it is not installed, nodes import it from here.
_ROOT = Path(__file__).parents[1]
#: Seconds that nodes get to finish the files they are at; the longest takes one.
_STOP = 10.0


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """A node to start: its name and its slots."""

    name: str
    slots: int


@dataclass(frozen=True, slots=True)
class NodeProcess:
    """A node that was started: its process leads a process group of the whole pool."""

    spec: NodeSpec
    process: subprocess.Popen[bytes]
    log: Path


@contextmanager
def running(specs: Sequence[NodeSpec], url: str, logs: Path) -> Iterator[list[NodeProcess]]:
    """Start these nodes on the broker at ``url``, their logs in ``logs``; stop them when the block ends."""
    nodes: list[NodeProcess] = []
    try:
        for spec in specs:
            nodes.append(_start(spec, url, logs))
        yield nodes
    finally:
        _stop(nodes)


def require_alive(nodes: Sequence[NodeProcess]) -> None:
    """Raise DemoFailed if a node ended by itself."""
    for node in nodes:
        code = node.process.poll()
        if code is not None:
            raise DemoFailed(f"node {node.spec.name} ended with exit code {code}")


def environment(url: str) -> dict[str, str]:
    """This process's environment with our broker in it, and no other that Celery would prefer."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("CELERY_")}
    return {**ours, "SWITCHYARD_BROKER_URL": url}


def _start(spec: NodeSpec, url: str, logs: Path) -> NodeProcess:
    log = logs / f"{spec.name}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, *_command(spec)],
            # What a node leaves behind when it is killed goes with the logs.
            env={**environment(url), "TMPDIR": str(logs)},
            cwd=_ROOT,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            # Not a session of its own: Linux shares the processors between sessions, and a node of four slots
            # would get no more of them than a node of one.
            process_group=0,
        )
    return NodeProcess(spec, process, log)


def _command(spec: NodeSpec) -> list[str]:
    ours = ["-m", "switchyard_workers.cli", "worker", "-A", "tasks.app"]
    ours += ["--node", spec.name, "--slots", str(spec.slots), "--queues", "celery"]
    # Mingle and gossip only make nodes wait for each other at the start; INFO logs every result in full.
    return [*ours, "--", "-P", "prefork", "--loglevel", "WARNING", "--without-mingle", "--without-gossip"]


def _stop(nodes: Sequence[NodeProcess]) -> None:
    """Ask every node to finish; kill what is left, also when a second Ctrl-C cuts the wait short."""
    try:
        for node in nodes:
            node.process.terminate()
        deadline = time.monotonic() + _STOP
        for node in nodes:
            with suppress(subprocess.TimeoutExpired):
                node.process.wait(max(0.0, deadline - time.monotonic()))
    finally:
        for node in nodes:
            with suppress(ProcessLookupError):
                os.killpg(node.process.pid, signal.SIGKILL)
            node.process.wait()
