"""``nodes``: the cluster, one line per node."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

import click
from redis.exceptions import RedisError
from rich import box
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from switchyard.cluster.as_json import node_document
from switchyard.cluster.state import State
from switchyard.models import Node, NodeState
from switchyard.node_figures import hit_rates
from switchyard_workers.commands.display import bar, console, seconds, write_json
from switchyard_workers.commands.target import Target, on_cluster

_STYLES = {NodeState.UP: "green", NodeState.DRAINING: "yellow", NodeState.LOST: "bold red"}
#: Seconds between two looks of --watch.
_EVERY = 1.0


def _measured(node: Node, figure: str) -> Text:
    """What a lost node said last is no figure of now."""
    return Text("-" if node.state is NodeState.LOST else figure)


def _cache_hits(node: Node) -> Text:
    _, rate = hit_rates(node.load.cache)
    return _measured(node, "-" if rate is None else f"{rate:.1%}")


def _pairs(labels: Mapping[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in sorted(labels.items()))


_COLUMNS: Mapping[str, Callable[[Node], Text]] = {
    "node": lambda node: Text(node.name, "bold"),
    "state": lambda node: Text(str(node.state), _STYLES[node.state]),
    "outstanding": lambda node: bar(node.outstanding, node.slots),
    "placed": lambda node: Text(str(node.inbox)),
    "lease": lambda node: Text(seconds(node.lease_age)),
    "cpu": lambda node: _measured(node, f"{node.load.cpu:.0f} %"),
    "memory": lambda node: _measured(node, f"{node.load.memory:.0f} %"),
    "cache hits": _cache_hits,
    "queues": lambda node: Text(", ".join(sorted(node.queues)) or "-"),
    "labels": lambda node: Text(_pairs(node.labels) or "-"),
}
#: Columns of other people's words, which may be long.
_FOLDED = ("queues", "labels")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="A JSON list instead of a table.")
@click.option("--watch", is_flag=True, help="Look again every second, until Ctrl-C.")
@on_cluster
def nodes(target: Target, as_json: bool, watch: bool) -> None:
    """Show the cluster's nodes: state, slots, outstanding tasks, load, age of the lease, labels."""
    if as_json and watch:
        raise click.UsageError("--json writes one document, --watch never ends; give one of them.")
    state = target.open()
    if watch:
        _watch(state)
    elif as_json:
        write_json([node_document(node) for node in state.snapshot()])
    else:
        console().print(table(state.snapshot()))


def table(found: Sequence[Node]) -> RenderableType:
    """The nodes as a table; the last line says how many are up, and what they are busy with."""
    if not found:
        return Text("No node has joined this cluster. Start one: switchyard worker -A APP --node NAME")
    columns = dict(_COLUMNS)
    if not any(node.load.cache for node in found):
        del columns["cache hits"]
    rows = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in columns:
        rows.add_column(heading, no_wrap=heading not in _FOLDED)
    for node in sorted(found, key=lambda node: node.name):
        rows.add_row(*(cell(node) for cell in columns.values()))
    up = [node for node in found if node.state is NodeState.UP]
    slots, outstanding = sum(node.slots for node in up), sum(node.outstanding for node in found)
    return Group(rows, Text(f"{len(up)} of {len(found)} up, {slots} slots, {outstanding} tasks outstanding"))


def _watch(state: State) -> None:
    """Show the nodes until Ctrl-C. An outage of the broker is shown too, over what was last known."""
    out = console()
    try:
        if out.is_terminal:
            with Live(console=out, auto_refresh=False) as live:
                _look_for_ever(state, lambda view: live.update(view, refresh=True))
        else:
            _look_for_ever(state, out.print)
    except KeyboardInterrupt:
        return


def _look_for_ever(state: State, show: Callable[[RenderableType], None]) -> None:
    pause = threading.Event()
    last: RenderableType = Text("")
    while True:
        try:
            last = table(state.snapshot())
            show(last)
        except RedisError as exc:
            show(Group(last, Text(f"The broker does not answer: {exc}. Trying again.", "bold red")))
        pause.wait(_EVERY)
