"""What the demo shows: the nodes while a run lasts, live or in plain lines, and a table at the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from redis.exceptions import RedisError
from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from switchyard.cluster.state import State
from switchyard.models import Node, NodeState
from tasks.nodes import NodeSpec
from tasks.run import Run

#: Seconds between two pictures on a terminal.
_LIVE_EVERY = 0.25
#: Seconds between two lines where there is no terminal to redraw.
_PLAIN_EVERY = 3.0
#: Seconds for the last picture to be drawn.
_CLOSE = 5.0
#: Width of the bar of a node's share of the work, in characters.
_BAR = 24


@dataclass(frozen=True, slots=True)
class View:
    """The cluster at one moment: what waits on the shared queue, each node by name and what it did so far."""

    waiting: int
    nodes: Mapping[str, Node]
    done: Mapping[str, int]

    @property
    def total_done(self) -> int:
        """Tasks done in this run, by the nodes' last heartbeats."""
        return sum(self.done.values())


@dataclass
class Display:
    """Watches one cluster and shows it on a console, from a thread: publishing must not stop the picture."""

    console: Console
    state: State
    specs: Sequence[NodeSpec]
    _before: dict[str, int] = field(default_factory=dict)
    _title: str = ""
    _files: int = 0
    _started: float = 0.0

    @contextmanager
    def run(self, title: str, files: int) -> Iterator[None]:
        """Show a run of that many files, from zero, until the block ends."""
        self._before = {name: node.load.done for name, node in self._nodes().items()}
        self._title, self._files = title, files
        self._started = time.monotonic()
        over = threading.Event()
        thread = threading.Thread(target=self._keep, args=(over,), name="display", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(_CLOSE)

    def _keep(self, over: threading.Event) -> None:
        # A server that is gone is for the run to report.
        with suppress(RedisError):
            if self.console.is_terminal:
                self._redraw(over)
            else:
                self._print(over)

    def _redraw(self, over: threading.Event) -> None:
        with Live(console=self.console, auto_refresh=False, transient=True) as live:
            while not over.is_set():
                live.update(self._table(self.view()), refresh=True)
                over.wait(_LIVE_EVERY)

    def _print(self, over: threading.Event) -> None:
        while not over.wait(_PLAIN_EVERY):
            self.console.print(self._line(self.view()), soft_wrap=True)

    def view(self) -> View:
        """Read the cluster."""
        nodes = self._nodes()
        done = {name: max(0, node.load.done - self._before.get(name, 0)) for name, node in nodes.items()}
        waiting = self.state.client.llen(self.state.keys.shared("celery"))
        return View(int(waiting), nodes, done)

    def _nodes(self) -> dict[str, Node]:
        return {node.name: node for node in self.state.snapshot()}

    def _table(self, view: View) -> Table:
        table = Table(title=self._heading(view), title_justify="left", title_style="bold")
        table.add_column("node")
        for column in ("slots", "running", "placed", "done"):
            table.add_column(column, justify="right")
        table.add_column("share of the work", min_width=_BAR)
        for spec in self.specs:
            node = view.nodes.get(spec.name, Node(spec.name, NodeState.LOST))
            name = spec.name if node.state is NodeState.UP else f"{spec.name} [red]{node.state}[/]"
            done = view.done.get(spec.name, 0)
            bar = ProgressBar(total=self._files, completed=done, width=_BAR)
            table.add_row(name, str(spec.slots), str(node.claims), f"{node.inbox:,}", f"{done:,}", bar)
        table.add_row("[dim]on the shared queue[/]", "", "", f"{view.waiting:,}", "", "")
        return table

    def _line(self, view: View) -> str:
        nodes = view.nodes.values()
        parts = [
            f"{node.name} {view.done[node.name]:,} done, {node.claims} running, {node.inbox:,} placed"
            for node in sorted(nodes, key=lambda node: node.slots)
        ]
        return "  " + " | ".join([self._heading(view), *parts, f"shared queue {view.waiting:,}"])

    def _heading(self, view: View) -> str:
        done = min(view.total_done, self._files)
        return f"{self._title}: {done:,} of {self._files:,} files, {time.monotonic() - self._started:.0f} s"


def summary(runs: Sequence[Run], specs: Sequence[NodeSpec]) -> Table:
    """Tasks by node and strategy, and the wall time of each strategy."""
    table = Table(
        title="Tasks per node and strategy", title_justify="left", title_style="bold", show_footer=True
    )
    table.add_column("node", footer="wall time")
    table.add_column("slots", justify="right")
    for run in runs:
        table.add_column(run.strategy, justify="right", footer=f"{run.seconds:.1f} s")
    for spec in specs:
        table.add_row(spec.name, str(spec.slots), *(f"{run.ran.get(spec.name, 0):,}" for run in runs))
    return table
