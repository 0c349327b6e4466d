"""``queues``: how deep each queue is."""

from __future__ import annotations

from collections.abc import Sequence

import click
from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from switchyard.cluster.as_json import queue_document
from switchyard.cluster.depths import queue_depths
from switchyard.models import QueueDepth
from switchyard_workers.commands.display import console, seconds, write_json
from switchyard_workers.commands.target import Target, on_cluster

_FIGURES = ("waiting", "placed", "claimed", "oldest")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="A JSON list instead of a table.")
@on_cluster
def queues(target: Target, as_json: bool) -> None:
    """Show each queue: tasks waiting, placed on nodes, claimed by nodes, and the age of the oldest."""
    depths = queue_depths(target.open())
    if as_json:
        write_json([queue_document(depth) for depth in depths])
    else:
        console().print(table(depths))


def table(depths: Sequence[QueueDepth]) -> RenderableType:
    """The queues as a table; a last column says what no node that is up may run."""
    if not depths:
        return Text("No queue is known: no node has served one and no task was left on one.")
    rows = Table("queue", box=box.SIMPLE_HEAD, pad_edge=False)
    for figure in _FIGURES:
        rows.add_column(figure, justify="right")
    rows.add_column("no node may run")
    for depth in depths:
        rows.add_row(*_cells(depth))
    return rows


def _cells(depth: QueueDepth) -> list[Text]:
    figures = [str(depth.waiting), str(depth.placed), str(depth.claimed), seconds(depth.oldest_age)]
    stranded = "; ".join(f"{count} for {selector}" for selector, count in sorted(depth.stranded.items()))
    return [Text(depth.name, "bold"), *map(Text, figures), Text(stranded or "-", "red" if stranded else "")]
