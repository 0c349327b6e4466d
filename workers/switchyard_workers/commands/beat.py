"""``beat``: sends periodic tasks, with as many processes on hot standby as you like."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import click
from celery.bin.base import LOG_LEVEL
from rich import box
from rich.table import Table
from rich.text import Text

from switchyard.adapters.celery.schedules import foreign_scheduler
from switchyard.transport.opening import require_supported
from switchyard_workers.commands.display import console, seconds, write_json
from switchyard_workers.commands.target import Refusal, Target, app_option, one_line_errors

if TYPE_CHECKING:
    from switchyard.beat.leadership import Leadership
    from switchyard.beat.overview import Row


@click.command()
@app_option(required=True)
@click.option("--list", "listing", is_flag=True, help="Show entries, last and next run, and who leads.")
@click.option("--json", "as_json", is_flag=True, help="With --list: JSON instead of a table.")
@click.option(
    "--ttl",
    type=click.FloatRange(1, 9),
    default=5.0,
    show_default=True,
    help="Seconds of silence after which a leader is replaced; the same for all.",
)
@click.option(
    "--max-interval",
    type=click.FloatRange(0.1, 300),
    default=1.0,
    show_default=True,
    help="Longest that a new or changed entry goes unnoticed, in seconds.",
)
@click.option(
    "-l", "--loglevel", type=LOG_LEVEL, default="INFO", show_default=True, help="As for celery beat."
)
@click.option("-f", "--logfile", metavar="PATH", help="Log there instead of standard error.")
def beat(
    app: str,
    listing: bool,
    as_json: bool,
    ttl: float,
    max_interval: float,
    loglevel: int,
    logfile: str | None,
) -> None:
    """Send the periodic tasks of APP. Start it on several machines: one leads, the others stand by."""
    if as_json and not listing:
        raise click.UsageError("--json goes with --list.")
    if find_spec("redbeat") is None:
        raise Refusal("beat needs RedBeat, which is not installed; pip install 'celery-switchyard[beat]'")
    with one_line_errors():
        target = Target(app=app)
        if listing:
            _show(target, as_json)
        else:
            _run(target, ttl, max_interval, loglevel, logfile)


def _run(target: Target, ttl: float, sweep_every: float, loglevel: int, logfile: str | None) -> None:
    from switchyard.beat.service import Beat  # noqa: PLC0415 - only where the extra is installed

    app = _loaded(target)
    _log_to(app, loglevel, logfile)
    state = target.open()
    require_supported(state)
    service = Beat(app, state, ttl, sweep_every)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: service.stop())
    service.install()
    service.run()


def _log_to(app: Any, loglevel: int, logfile: str | None) -> None:
    try:
        app.log.setup(loglevel, logfile)
    except OSError as exc:
        raise Refusal(f"cannot log to {logfile}: {exc.strerror}; name a file that can be written") from None


def _loaded(target: Target) -> Any:
    """The application with all its tasks and periodic tasks, as a worker would load it."""
    app = target.application()
    target.settings()
    if scheduler := foreign_scheduler(app):
        raise Refusal(
            f"beat_scheduler is {scheduler}, whose entries switchyard beat would never send; run them with "
            "celery beat on one machine, or move them to beat_schedule or RedBeat and unset beat_scheduler"
        )
    app.set_current()
    app.loader.init_worker()
    app.finalize()
    return app


def _show(target: Target, as_json: bool) -> None:
    from switchyard.beat.overview import overview  # noqa: PLC0415 - only where the extra is installed

    leader, rows = overview(_loaded(target), target.open())
    if as_json:
        write_json(
            {"leader": leader and _leader_as_dict(leader), "entries": [_row_as_dict(row) for row in rows]}
        )
    else:
        console().print(_table(rows) if rows else "No periodic entry is stored.")
        console().print(_sentence(leader))


def _leader_as_dict(leader: Leadership) -> dict[str, Any]:
    return {"host": leader.host, "pid": leader.pid, "term": leader.term, "age": leader.age}


def _row_as_dict(row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        "task": row.task,
        "schedule": row.schedule,
        "enabled": row.enabled,
        "missed": row.missed,
        "last_run": row.last_run and row.last_run.isoformat(),
        "next_run": row.next_run and row.next_run.isoformat(),
        "runs": row.runs,
    }


def _table(rows: Sequence[Row]) -> Table:
    table = Table(
        "entry", "task", "schedule", "last run", "next run", "missed", box=box.SIMPLE_HEAD, pad_edge=False
    )
    for row in rows:
        times = [at.isoformat(" ", "seconds") if at else "-" for at in (row.last_run, row.next_run)]
        following = times[1] if row.enabled else "disabled"
        cells = (row.task, row.schedule, times[0], following, row.missed)
        table.add_row(Text(row.name, "bold"), *map(Text, cells))
    return table


def _sentence(leader: Leadership | None) -> str:
    if leader is None:
        return "Nobody leads: no periodic task is sent. Start switchyard beat."
    return f"Process {leader.pid} on {leader.host} has led for {seconds(leader.age)}, in term {leader.term}."
