"""``python -m tests.chaos``: breaks a cluster on purpose and says what it cost, beside plain Celery.

Exit code 0 if Switchyard lost nothing, doubled nothing without a cause and left nothing behind; 1 if it did.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from tests.chaos import commands, stories
from tests.chaos.bed.bed import Wishes
from tests.chaos.evidence import report
from tests.chaos.evidence.verdict import Evidence, Verdict, judge
from tests.chaos.machines import network
from tests.chaos.machines.network import PartitionBy
from tests.chaos.machines.servers import Durability
from tests.chaos.run import drive, plan
from tests.chaos.run.plan import OFFERED, Kind

#: Longer than any run with --kills alone should take, in minutes.
_LONGEST = 240.0
_SILENT = {Kind.PARTITION, Kind.SILENT_PRODUCER}
_PARTITIONS = {"namespaces": PartitionBy.NAMESPACES, "proxy": PartitionBy.PROXY}


def _kinds(_ctx: click.Context, _param: click.Parameter, value: str) -> tuple[Kind, ...]:
    names = [str(kind) for kind in OFFERED] if value == "all" else value.split(",")
    if unknown := set(names) - set(OFFERED):
        raise click.BadParameter(f"{', '.join(sorted(unknown))}; known are all or {','.join(OFFERED)}")
    return tuple(map(Kind, names))


@click.group(invoke_without_command=True)
@click.option(
    "--minutes",
    type=click.FloatRange(0.05, _LONGEST),
    help="How long, waits for a victim not counted; 2 if --kills does not say.",
)
@click.option("--kills", type=click.IntRange(0), default=0, help="Stop after so many SIGKILLs.")
@click.option("--nodes", type=click.IntRange(2), default=4, show_default=True)
@commands.SLOTS
@commands.POOL
@click.option(
    "--kill-every", type=click.FloatRange(0.5), default=4.0, show_default=True, help="Mean seconds."
)
@click.option("--seed", type=int, default=None, help="The same seed makes the same plan.")
@commands.ENGINE
@click.option("--faults", callback=_kinds, default="all", show_default=True, metavar="A,B")
@click.option(
    "--appendfsync",
    type=click.Choice([str(Durability.ALWAYS), str(Durability.EVERYSEC)]),
    default=str(Durability.ALWAYS),
    show_default=True,
    help="Of a server that is to die.",
)
@click.option(
    "--partition-by",
    type=click.Choice(["auto", *_PARTITIONS]),
    default="auto",
    show_default=True,
    help="auto: namespaces where this machine allows them.",
)
@commands.LEASE
@commands.FOLDER
@click.pass_context
def main(
    ctx: click.Context,
    minutes: float | None,
    kills: int,
    nodes: int,
    slots: int,
    pool: str,
    kill_every: float,
    seed: int | None,
    engine: str,
    faults: Sequence[Kind],
    appendfsync: str,
    partition_by: str,
    lease: float,
    folder: Path | None,
) -> None:
    """Break a cluster on purpose and say what it cost."""
    # As an exception, so that what was started is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if ctx.invoked_subcommand is not None:
        return
    seed = seed if seed is not None else time.time_ns() % 1_000_000
    folder = commands.folder_of(folder)
    seconds = 60 * (minutes or (_LONGEST if kills else 2.0))
    if pool == "threads":
        faults = [kind for kind in faults if kind is not Kind.KILL_CHILD]
    what = plan.draw(seed, faults, nodes, lease, kill_every, seconds, kills)
    wishes = Wishes(
        nodes=nodes,
        slots=slots,
        pools=commands.pools(pool),
        seed=seed,
        lease=lease,
        renew=lease / 4,
        partition_by=_partition_by(partition_by) if _SILENT & set(faults) else PartitionBy.NOTHING,
        appendfsync=appendfsync,
    )
    click.echo(f"seed {seed}, {len(what.faults)} faults in {what.seconds:.0f} s; logs in {folder}", err=True)
    sys.exit(_all(wishes, what, commands.engines(engine), folder))


def _partition_by(wish: str) -> PartitionBy:
    return network.best() if wish == "auto" else _PARTITIONS[wish]


def _all(wishes: Wishes, what: plan.Plan, engines: Sequence[str], folder: Path) -> int:
    results: dict[str, tuple[Evidence, Verdict]] = {}
    for engine in engines:
        click.echo(f"--- {engine}", err=True)
        one = replace(wishes, engine=engine)
        evidence = drive.run(one, what, folder / engine, commands.say)
        results[engine] = evidence, judge(evidence)
    report.show(results, what.seed)
    return _say_failures(results)


def _say_failures(results: dict[str, tuple[Evidence, Verdict]]) -> int:
    for engine, (_, verdict) in results.items():
        for failure in verdict.failures():
            click.echo(f"{engine}: {failure}")
    bad = "switchyard" in results and results["switchyard"][1].failures()
    return 1 if bad else 0


for command in (commands.sentinel, commands.forks, commands.solo, stories.stories):
    main.add_command(command)

if __name__ == "__main__":
    main()
