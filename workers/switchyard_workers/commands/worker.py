"""``worker``: starts this machine's node, which is a Celery worker that knows its name and labels."""

from __future__ import annotations

import json
import os
import re
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import click

from switchyard.adapters.redis_refusals import RefusedForNow
from switchyard.errors import BrokerRefuses, ConfigurationError
from switchyard.settings import Settings, checked_node, load
from switchyard.transport.opening import require_supported
from switchyard_workers.commands.target import Target, app_option, one_line_errors

#: Celery's option that chooses a pool of greenlets, however it is written.
_GREEN = re.compile(r"(?:^| )(?:-P[ =]*|--pool[ =])(gevent|eventlet)(?: |$)")
#: How to get them.
_GREEN_MENDS = {"gevent": "pip install 'celery-switchyard[gevent]'", "eventlet": "pip install eventlet"}


def _checked_name(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    try:
        return value if value is None else checked_node(value)
    except ValueError as exc:
        raise click.BadParameter(f"{exc}.") from None


def _checked_labels(_ctx: click.Context, _param: click.Parameter, values: Sequence[str]) -> dict[str, str]:
    labels = dict(value.partition("=")[::2] for value in values)
    for value in values:
        if not value.partition("=")[0] or "=" not in value:
            raise click.BadParameter(f"{value!r} is no label; write it as name=value.")
    return labels


class _Worker(click.Command):
    """Says where Celery's options go to whoever writes them where ``celery worker`` wants them."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as exc:
            raise click.UsageError(
                f"{exc.format_message()} Options of celery worker follow --, as in: -- -P threads", ctx
            ) from None


@click.command(cls=_Worker)
@app_option(required=True)
@click.option(
    "--node", metavar="NAME", callback=_checked_name, help="The node's name, unique in the cluster."
)
@click.option("--slots", type=click.IntRange(min=1), metavar="N", help="Tasks that it runs at a time.")
@click.option("--queues", metavar="A,B", help="Queues that it serves.")
@click.option("--label", "labels", multiple=True, metavar="K=V", callback=_checked_labels, help="Repeatable.")
@click.argument("celery_options", nargs=-1, type=click.UNPROCESSED)
def worker(
    app: str,
    node: str | None,
    slots: int | None,
    queues: str | None,
    labels: Mapping[str, str],
    celery_options: Sequence[str],
) -> None:
    """Start this machine's node. What follows -- goes to celery worker as it is.

    For example: switchyard worker -A proj --node gpu-1 --slots 4 --label gpu=h100 -- -P threads -l INFO
    """
    with one_line_errors():
        _require_pool(celery_options)
        # Before the application is loaded: it reads its settings then.
        os.environ.update(environment(node, labels))
        _require_ready(Target(app=app), node, labels)
    arguments = celery_arguments(app, node, slots, queues, celery_options)
    # A process of its own, started as `celery` is: its patching for gevent comes before all imports, and
    # -D and SIGHUP, which start it again, find the command line that they expect.
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *_celery(), *arguments])


def environment(node: str | None, labels: Mapping[str, str]) -> dict[str, str]:
    """The variables through which a worker, and what it starts again, learns its name and labels."""
    variables = {"SWITCHYARD_NODE": node} if node else {}
    if labels:
        already = load().labels
        variables["SWITCHYARD_LABELS"] = json.dumps({**already, **labels})
    return variables


def celery_arguments(
    app: str, node: str | None, slots: int | None, queues: str | None, rest: Sequence[str]
) -> list[str]:
    """The command line of ``celery``; what the user wrote after ``--`` comes last and wins."""
    arguments = ["-A", app, "worker"]
    arguments += ["-n", f"{node}@%h"] if node else []
    arguments += ["-c", str(slots)] if slots else []
    arguments += ["-Q", queues] if queues else []
    return [*arguments, *rest]


def _require_pool(celery_options: Sequence[str]) -> None:
    """Celery patches for greenlets before all else, and fails with a traceback where there are none."""
    found = _GREEN.search(" ".join(celery_options))
    pool = found and found[1]
    if pool and find_spec(pool) is None:
        raise ConfigurationError(
            f"the pool {pool} is not installed; {_GREEN_MENDS[pool]}, or choose -P threads"
        )


def _require_ready(target: Target, node: str | None, labels: Mapping[str, str]) -> None:
    """Say in one line what Celery would say in a traceback, or not at all. Raises SwitchyardError."""
    _require_heard(target.settings(), node, labels)
    try:
        state = target.open()
        require_supported(state)
    except (BrokerRefuses, RefusedForNow) as exc:
        click.echo(f"{exc}; the worker starts, and waits", err=True)
        return
    state.client.close()


def _require_heard(settings: Settings, node: str | None, labels: Mapping[str, str]) -> None:
    if (node and settings.node != node) or not labels.items() <= settings.labels.items():
        raise ConfigurationError(
            f"--node and --label have no effect: after reading the environment, the application sets node "
            f"{settings.node!r} and labels {settings.labels} itself; remove them where it calls install()"
        )


def _celery() -> list[str]:
    script = Path(sysconfig.get_path("scripts"), "celery")
    return [str(script)] if script.is_file() else ["-m", "celery"]
