"""``python -m tests.chaos.locks``: kills, stops and cuts off holders of locks and leaders, and judges.

Exit code 0 if every guarantee held, 1 if one did not.
"""

from __future__ import annotations

import logging
import signal
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from tests.chaos.locks import drive
from tests.chaos.locks.drive import Wishes
from tests.chaos.locks.judge import GRACE, Verdict

_PARTS = ("lock", "vote", "election")
#: Candidates of an election: each has a proxy process of its own.
_CANDIDATES = 5
#: Violations that are written out, of each part.
_SHOWN = 10


@click.command()
@click.option("--seconds", type=click.FloatRange(1), default=60, show_default=True, help="Of each part.")
@click.option("--processes", type=click.IntRange(2), default=50, show_default=True)
@click.option("--ttl", type=click.FloatRange(0.5), default=2, show_default=True, help="Seconds.")
@click.option("--seed", type=int, default=None, help="The same seed draws the same faults.")
@click.option("--only", type=click.Choice(_PARTS), multiple=True, help="Repeatable; all parts without it.")
def main(seconds: float, processes: int, ttl: float, seed: int | None, only: tuple[str, ...]) -> None:
    """Break holders of a lock and leaders on purpose, and say whether the guarantees held."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    logging.getLogger("switchyard.coordination").setLevel(
        logging.ERROR
    )  # what is lost here is lost on purpose
    wishes = Wishes(seconds, processes, ttl, seed if seed is not None else time.time_ns() % 1_000_000)
    with tempfile.TemporaryDirectory(prefix="chaos-locks-") as folder:
        results = {part: _run(part, wishes, Path(folder)) for part in only or _PARTS}
    for part, (verdict, hits) in results.items():
        Console(width=100).print(_table(part, wishes, verdict, hits))
    for part, (verdict, _) in results.items():
        for violation in verdict.violations[:_SHOWN]:
            click.echo(f"{part}: {violation}")
    sys.exit(1 if any(verdict.violations for verdict, _ in results.values()) else 0)


def _run(part: str, wishes: Wishes, folder: Path) -> tuple[Verdict, int]:
    click.echo(f"{time.strftime('%H:%M:%S')} {part}, seed {wishes.seed} ...", err=True)
    (folder / part).mkdir()
    if part == "election":
        return drive.elections(replace(wishes, processes=min(wishes.processes, _CANDIDATES)), folder / part)
    return drive.locks(wishes, folder / part, voters=3 if part == "vote" else 1)


def _table(part: str, wishes: Wishes, verdict: Verdict, hits: int) -> Table:
    table = Table("", "", title=f"{part}, {wishes.seconds:g} s, ttl {wishes.ttl:g} s, seed {wishes.seed}")
    table.add_row("faults", str(hits))
    for name, figure in verdict.figures.items():
        table.add_row(name, str(figure))
    took = verdict.recoveries
    table.add_row("faults that hit who held it, and another had it after", str(len(took)))
    if took:
        table.add_row(
            f"  seconds until then: median, most (bound {wishes.ttl + GRACE:g})",
            f"{statistics.median(took):.2f}, {max(took):.2f}",
        )
    table.add_row("violations", str(len(verdict.violations)))
    return table


if __name__ == "__main__":
    main()
