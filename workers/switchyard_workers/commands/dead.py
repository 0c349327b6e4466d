"""``dead``: tasks that were given up on, and what to do with them."""

from __future__ import annotations

import time
from typing import Any

import click
from rich import box
from rich.table import Table
from rich.text import Text
from switchyard.cluster.as_json import dead_document, message_text, summarize
from switchyard.cluster.state import State
from switchyard.errors import NoSuchTask
from switchyard.models import DeadTask

from switchyard_workers.commands.display import console, seconds, write_json
from switchyard_workers.commands.target import Target, on_cluster

#: Characters of a task's arguments that the table shows.
_ARGUMENTS_SHOWN = 60


@click.group()
def dead() -> None:
    """Tasks that too many nodes or pool processes died holding, and messages that can't be read."""


@dead.command("list")
@click.option("--json", "as_json", is_flag=True, help="A JSON list instead of a table.")
@on_cluster
def list_dead(target: Target, as_json: bool) -> None:
    """Show the tasks given up on, the latest first."""
    state = target.open()
    found = [entry for receipt in state.dead_receipts() if (entry := state.dead(receipt)) is not None]
    if as_json:
        write_json([as_dict(state, entry) for entry in found])
    elif found:
        console().print(_table(state, found))
    else:
        click.echo("No task was given up on.")


@dead.command()
@click.argument("receipt")
@on_cluster
def requeue(target: Target, receipt: str) -> None:
    """Put the task with RECEIPT at the end of its queue again; its death count starts anew."""
    if not target.open().requeue(receipt):
        raise _no_such_task(receipt)
    click.echo(f"{receipt} is back on its queue.")


@dead.command()
@click.argument("receipt")
@on_cluster
def discard(target: Target, receipt: str) -> None:
    """Throw the task with RECEIPT away for good."""
    if not target.open().discard(receipt):
        raise _no_such_task(receipt)
    click.echo(f"{receipt} is gone.")


def as_dict(state: State, entry: DeadTask) -> dict[str, Any]:
    """A dead task as ``--json`` shows it; of a message that can't be read, ``task`` and ``id`` are null."""
    return {**dead_document(summarize(state.keys, entry), time.time()), "message": message_text(entry)}


def _table(state: State, entries: list[DeadTask]) -> Table:
    rows = Table(
        "receipt", "task", "arguments", "queue", "deaths", "nodes", "age", "reason", box=box.SIMPLE_HEAD
    )
    for entry in entries:
        shown = as_dict(state, entry)
        arguments = f"{shown['args'] or ''} {shown['kwargs'] or ''}".strip() or shown["message"]
        cells = [
            entry.receipt,
            str(shown["task"] or "-"),
            _shortened(arguments),
            shown["queue"],
            str(entry.deaths),
            ", ".join(entry.nodes) or "-",
            seconds(shown["age"]),
            entry.reason,
        ]
        rows.add_row(*map(Text, cells))
    return rows


def _shortened(text: str) -> str:
    return text if len(text) <= _ARGUMENTS_SHOWN else text[: _ARGUMENTS_SHOWN - 1] + "…"


def _no_such_task(receipt: str) -> NoSuchTask:
    return NoSuchTask(f"no task with receipt {receipt!r} was given up on; see 'switchyard dead list'")
