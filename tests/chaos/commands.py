"""The commands that do one thing each: ``sentinel``, ``forks`` and ``solo``; and options that all share."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import click

from tests.chaos.bed.bed import Wishes
from tests.chaos.evidence import report
from tests.chaos.evidence.verdict import judge
from tests.chaos.scenarios import failover, forking, hanging

_ENGINES = ("switchyard", "stock")
_POOLS = {"prefork": ("prefork",), "threads": ("threads",), "both": ("prefork", "threads")}

SLOTS = click.option("--slots", type=click.IntRange(1), default=2, show_default=True)
POOL = click.option("--pool", type=click.Choice(list(_POOLS)), default="both", show_default=True)
ENGINE = click.option(
    "--engine", type=click.Choice((*_ENGINES, "both")), default="switchyard", show_default=True
)
LEASE = click.option("--lease", type=click.FloatRange(0.5), default=2.0, show_default=True, help="Seconds.")
FOLDER = click.option(
    "--folder", type=click.Path(path_type=Path, file_okay=False), help="Keep logs and ledgers there."
)


def pools(name: str) -> tuple[str, ...]:
    """Those that a value of --pool means."""
    return _POOLS[name]


def engines(name: str) -> tuple[str, ...]:
    """Those that a value of --engine means, stock first."""
    return _ENGINES[::-1] if name == "both" else (name,)


def folder_of(folder: Path | None) -> Path:
    """The one wished for, or a new one."""
    return folder or Path(tempfile.mkdtemp(prefix="chaos-"))


def say(line: str) -> None:
    """What happens, as it happens."""
    click.echo(line, err=True)


@click.command()
@click.option("--failovers", type=click.IntRange(1, 50), default=1, show_default=True)
@click.option("--nodes", type=click.IntRange(2), default=3, show_default=True)
@SLOTS
@POOL
@ENGINE
@LEASE
@FOLDER
def sentinel(
    failovers: int, nodes: int, slots: int, pool: str, engine: str, lease: float, folder: Path | None
) -> None:
    """Kill the primary under load: the cluster must go on, and what replication lost is counted."""
    wishes = Wishes(nodes=nodes, slots=slots, pools=pools(pool), lease=lease, renew=lease / 4)
    results, top = {}, folder_of(folder)
    for one in engines(engine):
        place = top / one
        say(f"--- {one}; logs in {place}")
        results[one] = failover.run(replace(wishes, engine=one), failovers, place, say)
    report.show({one: (found, judge(found)) for one, found in results.items()}, wishes.seed)
    report.show_failovers({one: failover.outcomes(found) for one, found in results.items()})
    end({one: failover.failures(found, failovers) for one, found in results.items()})


@click.command()
@click.option("--count", type=click.IntRange(1), default=10_000, show_default=True)
@click.option("--nodes", type=click.IntRange(1), default=2, show_default=True)
@SLOTS
@ENGINE
@click.option("--lease", type=click.FloatRange(0.5), default=5.0, show_default=True, help="Seconds.")
@FOLDER
def forks(count: int, nodes: int, slots: int, engine: str, lease: float, folder: Path | None) -> None:
    """A new child for every task while the lease is kept: no child may hang, no lease be lost."""
    results, top = {}, folder_of(folder)
    for one in engines(engine):
        place = top / one
        say(f"--- {one}; logs in {place}")
        results[one] = forking.run(forking.wishes(one, nodes, slots, lease), count, place, say)
    report.show_forks({one: forking.outcome(found) for one, found in results.items()})
    end({one: forking.failures(found, count) for one, found in results.items()})


@click.command()
@click.option("--seconds", type=click.FloatRange(1.0, 3600.0), default=60.0, show_default=True)
@click.option("--lease", type=click.FloatRange(0.5), default=5.0, show_default=True, help="Seconds.")
@FOLDER
def solo(seconds: float, lease: float, folder: Path | None) -> None:
    """A solo pool that is busy for longer than its lease keeps it; an event loop that hangs does not."""
    place = folder_of(folder) / "switchyard"
    say(f"logs in {place}")
    evidence, outcome = hanging.run(hanging.wishes(lease), seconds, place, say)
    report.show_hanging(outcome)
    end({"switchyard": hanging.failures(evidence, outcome)})


def end(failures: Mapping[str, Iterable[str]]) -> None:
    """Say all failures; exit with 1 if one is ours."""
    for engine, found in failures.items():
        for failure in found:
            click.echo(f"{engine}: {failure}")
    sys.exit(1 if list(failures.get("switchyard", ())) else 0)
