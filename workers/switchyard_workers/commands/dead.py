"""``dead``: tasks that were given up on, and what to do with them."""

from __future__ import annotations

import functools
import re
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import click
from rich import box
from rich.table import Table
from rich.text import Text

from switchyard.cluster.as_json import dead_document, message_text, summarize
from switchyard.cluster.sought import Sought, page, search
from switchyard.cluster.sought import receipts as every_receipt
from switchyard.cluster.state import State
from switchyard.errors import NoSuchTask
from switchyard.models import DeadTask
from switchyard_workers.commands.display import console, seconds, write_json
from switchyard_workers.commands.target import Target, on_cluster

#: Characters of a task's arguments that the table shows.
_ARGUMENTS_SHOWN = 60
#: Tasks that one round trip requeues: some ms of the server's time.
_AT_ONCE = 100
#: Seconds of the units in which an age is given.
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


@click.group()
def dead() -> None:
    """Tasks that too many nodes or pool processes died holding, and messages that can't be read."""


def _age(_ctx: click.Context, _param: click.Parameter, value: str | None) -> float | None:
    """Seconds of an age: ``90``, ``90s``, ``15m``, ``2h`` or ``3d``."""
    if value is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", value)
    if found is None:
        raise click.BadParameter(f"{value!r} is no age; write 90s, 15m, 2h or 3d.")
    return float(found[1]) * _UNITS[found[2]]


_FILTERS = (
    click.option("--newer", callback=_age, metavar="AGE", help="Given up on in the last 90s, 15m, 2h, 3d."),
    click.option("--older", callback=_age, metavar="AGE", help="Given up on longer ago than that."),
    click.option("--reason", default="", metavar="TEXT", help="Whose reason has this in it."),
    click.option("--task", default="", metavar="GLOB", help="Whose name is like this: 'shop.*'."),
    click.option("--queue", default="", metavar="QUEUE", help="Of this queue."),
)


def _sought(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say which tasks are meant; it gets ``sought``."""

    @functools.wraps(command)
    def run(*args: Any, **options: Any) -> None:
        wanted = {name: options.pop(name) for name in ("queue", "task", "reason", "older", "newer")}
        command(*args, sought=Sought(**wanted), **options)

    for option in _FILTERS:
        run = option(run)
    return run


@dead.command("list")
@click.option("--limit", type=click.IntRange(min=1), default=1000, show_default=True, help="At most.")
@click.option("--start", type=click.IntRange(min=0), default=0, help="Leave out so many of the latest.")
@click.option("--json", "as_json", is_flag=True, help="A JSON list instead of a table.")
@on_cluster
@_sought
def list_dead(target: Target, sought: Sought, limit: int, start: int, as_json: bool) -> None:
    """Show the tasks given up on, the latest first.

    For example: switchyard dead list -A proj --task 'shop.*' --newer 2h
    """
    state = target.open()
    count = state.dead_count()
    shown = page(state, sought, start, limit, count)
    entries = [entry for _, entry in shown.dead]
    if as_json:
        write_json([as_dict(state, entry) for entry in entries])
    elif entries:
        console().print(_table(state, entries))
    else:
        click.echo(f"None of {count} tasks is like that." if count else "No task was given up on.")
    if shown.following is not None:
        more = f"{len(entries)} shown of {count} given up on; go on with --start {shown.following}."
        click.echo(more, err=as_json)


@dead.command()
@click.argument("receipts", metavar="[RECEIPT]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Every task given up on.")
@on_cluster
@_sought
def requeue(target: Target, receipts: Sequence[str], every: bool, sought: Sought) -> None:
    """Put tasks at the end of their queue again; their death count starts anew.

    The one with RECEIPT, or those that options describe: switchyard dead requeue -A proj --task 'shop.*'
    """
    _require_choice(receipts, every, sought)
    state = target.open()
    if receipts:
        _take_each(receipts, state.requeue, "is back on its queue")
    else:
        done = _take_all(state, sought, state.requeue_each, "Requeueing")
        click.echo(f"{done} tasks are back on their queues.")


@dead.command()
@click.argument("receipts", metavar="[RECEIPT]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Every task given up on.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@on_cluster
@_sought
def discard(target: Target, receipts: Sequence[str], every: bool, yes: bool, sought: Sought) -> None:
    """Throw tasks away for good.

    The one with RECEIPT, or those that options describe: switchyard dead discard -A proj --older 30d --yes
    """
    _require_choice(receipts, every, sought)
    state = target.open()
    if receipts:
        _take_each(receipts, state.discard, "is gone")
        return
    if not yes:
        click.confirm("Throw all of them away for good?", abort=True, err=True)
    done = _take_all(state, sought, state.discard_each, "Discarding")
    click.echo(f"{done} tasks are gone.")


def _require_choice(receipts: Sequence[str], every: bool, sought: Sought) -> None:
    if sum((bool(receipts), every, sought != Sought())) != 1:
        raise click.UsageError("which tasks? Give receipts, or --all, or options such as --queue and --task.")


def _take_each(receipts: Sequence[str], take: Callable[[str], bool], done: str) -> None:
    for receipt in receipts:
        if not take(receipt):
            raise _no_such_task(receipt)
        click.echo(f"{receipt} {done}.")


def _take_all(state: State, sought: Sought, take: Callable[[Sequence[str]], int], what: str) -> int:
    """Take out all that are like that; how many there were."""
    among = every_receipt(state)
    done = 0
    label = what if sys.stderr.isatty() else None
    with click.progressbar(length=len(among), label=label, file=sys.stderr) as progress:
        for at in range(0, len(among), _AT_ONCE):
            some = among[at : at + _AT_ONCE]
            meant = [receipt for receipt in search(state, sought, some) if receipt is not None]
            done += take(meant) if meant else 0
            progress.update(len(some))
    return done


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
