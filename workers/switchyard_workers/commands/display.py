"""Standard output: tables for people, JSON for programs."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.console import Console
from rich.text import Text

#: Columns of a table that goes into a file or a pipe, where nothing says how wide it may be.
_PIPE_WIDTH = 180


def console() -> Console:
    """Standard output for tables. Names and labels are other people's words: no markup is read in them."""
    plain = Console(markup=False, highlight=False, emoji=False)
    return plain if plain.is_terminal else Console(markup=False, highlight=False, width=_PIPE_WIDTH)


def write_json(value: Any) -> None:
    """One JSON document, and nothing else."""
    click.echo(json.dumps(value, indent=2))


def seconds(value: float | None) -> str:
    """A span of time as people say it: ``0.4 s``, ``12 min``, ``3.5 h``; a dash if unknown."""
    if value is None:
        return "-"
    for size, unit in ((3600.0, "h"), (60.0, "min")):
        if value >= 2 * size:
            return f"{value / size:.1f} {unit}"
    return f"{value:.1f} s"


def bar(used: int, size: int, width: int = 8) -> Text:
    """``used`` of ``size`` as a bar and as figures."""
    share = min(used / size, 1.0) if size else 0.0
    full = round(share * width)
    style = "red" if used > size else "yellow" if used == size else "green"
    return Text.assemble(("━" * full, style), ("━" * (width - full), "bright_black"), f" {used}/{size}")
