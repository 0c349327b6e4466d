"""``flower``: the dashboard, with Flower's own options beside ours."""

from __future__ import annotations

import atexit
import functools
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from switchyard.errors import ConfigurationError
from switchyard_workers.commands.target import app_option, load_app, one_line_errors

if TYPE_CHECKING:
    from switchyard.adapters.flower_app import Option

#: Options of tornado's that are not for the command line: click has a --help, and a function is no text.
_NOT_SAID = frozenset({"help", "format_task"})


class _WithFlowersOptions(click.Command):
    """Knows Flower's options, once it is asked for them: ``switchyard`` must run without Flower."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return [*super().get_params(ctx), *_flowers_options()]


@click.command(cls=_WithFlowersOptions)
@app_option(required=True)
@click.option("--open-metrics", is_flag=True, help="/metrics and /healthcheck need no login.")
@click.option("--insecure", is_flag=True, help="Start without a login although others can reach the address.")
@click.pass_context
def flower(ctx: click.Context, /, app: str, open_metrics: bool, insecure: bool, **flowers: Any) -> None:
    """Flower with the cluster in it: nodes, queues, dead tasks, a timeline, an API and metrics.

    Listens on 127.0.0.1:5555. Takes Flower's options as well, also from flowerconfig.py and FLOWER_*
    variables; an option that Flower does not know is an error.
    """
    said = {
        name: value
        for name, value in flowers.items()
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    with one_line_errors():
        dashboard, port = _listening(app, said, open_metrics, insecure)
    _serve(dashboard, port)


def _listening(app: str, said: dict[str, Any], open_metrics: bool, insecure: bool) -> tuple[Any, int | None]:
    """The dashboard, bound to its port. Raises SwitchyardError."""
    if not _installed():
        raise ConfigurationError("the dashboard needs Flower; pip install 'celery-switchyard[flower]'")
    # Flower is an extra, so only who asks for the dashboard imports it.
    from switchyard.flower import options  # noqa: PLC0415
    from switchyard.flower.dashboard import Dashboard  # noqa: PLC0415
    from switchyard.flower.security import require_credentials, require_login  # noqa: PLC0415

    chosen, settings = options.read({name: _as_text(value) for name, value in said.items()})
    require_credentials(chosen)
    require_login(chosen, insecure)
    _require_files(chosen)
    capp = load_app(app)
    dashboard = Dashboard(capp, chosen, open_metrics=open_metrics, insecure=insecure, **settings)
    try:
        return dashboard, dashboard.start_http_server()
    except OSError as exc:
        raise ConfigurationError(
            f"cannot listen on {chosen.unix_socket or f'{chosen.address}:{chosen.port}'}: {exc.strerror}; "
            "choose another --port or --address"
        ) from None


def _require_files(chosen: Any) -> None:
    for name in ("certfile", "keyfile", "ca_certs"):
        path = getattr(chosen, name)
        if path and not Path(path).is_file():
            raise ConfigurationError(
                f"--{name.replace('_', '-')} {path} is no file; name one that can be read"
            )


def _serve(dashboard: Any, port: int | None) -> None:
    from switchyard.adapters.flower_app import end_on_sigterm, say_where  # noqa: PLC0415

    end_on_sigterm()
    atexit.register(dashboard.stop)
    say_where(dashboard.capp, dashboard.ssl_options is not None, port)
    with suppress(KeyboardInterrupt, SystemExit):
        dashboard.start()


@functools.cache
def _flowers_options() -> list[click.Option]:
    """Flower's and tornado's options as click's, spelt with hyphens or underscores; values stay text."""
    if not _installed():
        return []
    from switchyard.adapters.flower_app import known_options  # noqa: PLC0415

    return [_as_click(option) for option in known_options() if option.name not in _NOT_SAID]


def _as_click(option: Option) -> click.Option:
    name = option.name.replace("-", "_")
    spellings = {f"--{name.replace('_', '-')}", f"--{name}"}
    kept: dict[str, Any] = {"multiple": option.multiple, "metavar": option.kind.__name__.upper()}
    if option.kind is bool:
        # As with Flower, --persistent and --persistent=True are the same.
        kept |= {"is_flag": False, "flag_value": "True"}
    text = option.help[:1].upper() + option.help[1:]
    return click.Option([name, *sorted(spellings)], type=str, help=text, **kept)


def _as_text(value: Any) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _installed() -> bool:
    return find_spec("flower") is not None
