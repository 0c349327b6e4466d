"""``python -m tests.chaos``: breaks a cluster on purpose and says what it cost, beside plain Celery.

Exit code 0 if Switchyard lost nothing, doubled nothing without a cause and left nothing behind; 1 if it did.
"""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from tests.chaos import drive, failover, plan, report
from tests.chaos.bed import Wishes
from tests.chaos.plan import OFFERED, Kind
from tests.chaos.verdict import Evidence, Verdict, judge

_ENGINES = ("switchyard", "stock")
_POOLS = ("prefork", "threads", "both")
#: Longer than any run with --kills alone should take, in minutes.
_LONGEST = 240.0


def _kinds(_ctx: click.Context, _param: click.Parameter, value: str) -> tuple[Kind, ...]:
    names = [str(kind) for kind in OFFERED] if value == "all" else value.split(",")
    if unknown := set(names) - set(OFFERED):
        raise click.BadParameter(f"{', '.join(sorted(unknown))}; known are all or {','.join(OFFERED)}")
    return tuple(map(Kind, names))


@click.group(invoke_without_command=True)
@click.option("--minutes", type=click.FloatRange(0.05, _LONGEST), help="How long; 2 if --kills does not say.")
@click.option("--kills", type=click.IntRange(0), default=0, help="Stop after so many SIGKILLs.")
@click.option("--nodes", type=click.IntRange(2), default=4, show_default=True)
@click.option("--slots", type=click.IntRange(1), default=2, show_default=True)
@click.option("--pool", type=click.Choice(_POOLS), default="both", show_default=True)
@click.option(
    "--kill-every", type=click.FloatRange(0.5), default=4.0, show_default=True, help="Mean seconds."
)
@click.option("--seed", type=int, default=None, help="The same seed makes the same plan.")
@click.option("--engine", type=click.Choice((*_ENGINES, "both")), default="switchyard", show_default=True)
@click.option("--faults", callback=_kinds, default="all", show_default=True, metavar="A,B")
@click.option("--lease", type=click.FloatRange(0.5), default=2.0, show_default=True, help="Seconds.")
@click.option(
    "--folder", type=click.Path(path_type=Path, file_okay=False), help="Keep logs and ledgers there."
)
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
    lease: float,
    folder: Path | None,
) -> None:
    """Break a cluster on purpose and say what it cost."""
    # As an exception, so that what was started is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if ctx.invoked_subcommand is not None:
        return
    seed = seed if seed is not None else time.time_ns() % 1_000_000
    folder = folder or Path(tempfile.mkdtemp(prefix="chaos-"))
    seconds = 60 * (minutes or (_LONGEST if kills else 2.0))
    what = plan.draw(seed, faults, nodes, lease, kill_every, seconds, kills)
    wishes = Wishes(
        nodes=nodes,
        slots=slots,
        pool=pool,
        seed=seed,
        lease=lease,
        renew=lease / 4,
        proxies=Kind.PARTITION in faults,
    )
    engines = _ENGINES[::-1] if engine == "both" else (engine,)
    click.echo(f"seed {seed}, {len(what.faults)} faults in {what.seconds:.0f} s; logs in {folder}", err=True)
    sys.exit(_all(wishes, what, engines, folder))


@main.command()
@click.option("--nodes", type=click.IntRange(2), default=3, show_default=True)
@click.option("--slots", type=click.IntRange(1), default=2, show_default=True)
@click.option("--pool", type=click.Choice(_POOLS), default="both", show_default=True)
@click.option("--lease", type=click.FloatRange(0.5), default=2.0, show_default=True, help="Seconds.")
@click.option(
    "--folder", type=click.Path(path_type=Path, file_okay=False), help="Keep logs and ledgers there."
)
def sentinel(nodes: int, slots: int, pool: str, lease: float, folder: Path | None) -> None:
    """Kill the primary under load: the cluster must go on, and what replication lost is counted."""
    folder = folder or Path(tempfile.mkdtemp(prefix="chaos-"))
    wishes = Wishes(nodes=nodes, slots=slots, pool=pool, lease=lease, renew=lease / 4)
    click.echo(f"logs in {folder}", err=True)
    evidence = failover.run(wishes, folder / "sentinel", lambda line: click.echo(line, err=True))
    verdict, cost = judge(evidence), failover.outcome(evidence)
    report.show({"switchyard": (evidence, verdict)}, wishes.seed)
    resumed = "never" if cost.resumed is None else f"after {cost.resumed:.2f} s"
    click.echo(f"went on {resumed}; asynchronous replication lost {len(cost.unreplicated)} tasks")
    others = [failure for failure in verdict.failures() if "tasks lost" not in failure]
    for failure in (*others, *(f"lost after the failover: {task}" for task in cost.lost)):
        click.echo(f"switchyard: {failure}")
    in_time = cost.resumed is not None and cost.resumed <= failover.WITHIN
    sys.exit(0 if in_time and not cost.lost and not others else 1)


def _all(wishes: Wishes, what: plan.Plan, engines: Sequence[str], folder: Path) -> int:
    results: dict[str, tuple[Evidence, Verdict]] = {}
    for engine in engines:
        click.echo(f"--- {engine}", err=True)
        one = replace(wishes, engine=engine)
        evidence = drive.run(one, what, folder / engine, lambda line: click.echo(line, err=True))
        results[engine] = evidence, judge(evidence)
    report.show(results, what.seed)
    return _say_failures(results)


def _say_failures(results: dict[str, tuple[Evidence, Verdict]]) -> int:
    for engine, (_, verdict) in results.items():
        for failure in verdict.failures():
            click.echo(f"{engine}: {failure}")
    bad = "switchyard" in results and results["switchyard"][1].failures()
    return 1 if bad else 0


if __name__ == "__main__":
    main()
