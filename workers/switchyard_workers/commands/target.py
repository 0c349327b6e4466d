"""Which cluster a command is about, and how its errors become one line."""

from __future__ import annotations

import functools
import sysconfig
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import click
from celery import Celery
from celery.app.utils import find_app
from celery.utils.imports import import_from_cwd
from click.core import ParameterSource
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from switchyard.cluster.state import State
from switchyard.errors import ConfigurationError, SwitchyardError
from switchyard.install import installation
from switchyard.settings import Settings, load
from switchyard.transport.opening import open_state

#: Where code of others is: what is raised there is mended where it was called.
_LIBRARIES = ("stdlib", "purelib", "platlib")
_NOT_THEIRS = (__file__, *map(sysconfig.get_path, _LIBRARIES), "<frozen")

#: Seconds that a command waits for one answer of the broker.
_PATIENCE = 2.0


@dataclass(frozen=True, slots=True)
class Target:
    """An application's cluster, or the one behind a broker URL. Nothing is loaded before it is asked for."""

    app: Any = None
    broker: str | None = None

    def application(self) -> Any:
        """The Celery application, None if only a broker is known. Raises ConfigurationError."""
        return load_app(self.app) if isinstance(self.app, str) else self.app

    def settings(self) -> Settings:
        """The application's settings, or this machine's own. Raises ConfigurationError."""
        app = self.application()
        return load() if app is None else installation(app).settings

    def open(self) -> State:
        """The cluster's state. Raises BrokerUnreachable, ConfigurationError."""
        app = self.application()
        # Nodes live where they read from.
        url = self.broker if app is None else app.conf.broker_read_url
        # open_state waits for a lease at each of a few attempts; whoever types a command has less time.
        settings = self.settings().model_copy(update={"lease": _PATIENCE})
        try:
            if app is not None:
                return open_state(app, settings, url)
            return _as_the_nodes(open_state(str(url), settings))
        except SwitchyardError:
            raise
        except (ValueError, LookupError, ImportError) as exc:
            raise _unusable(str(url), exc) from None


def _as_the_nodes(state: State) -> State:
    """The state behind a URL, which does not say how lists are named: as most nodes say."""
    said = Counter(node.lists for node in state.snapshot())
    lists = said.most_common(1)[0][0] if said else state.keys.lists
    return State(state.client, replace(state.keys, lists=lists))


class Refusal(click.ClickException):
    """One line on standard error, exit code 1."""

    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn what may go wrong on purpose into a :class:`Refusal`; a bug keeps its traceback."""
    try:
        yield
    except SwitchyardError as exc:
        raise Refusal(str(exc)) from None
    except (RedisError, OperationalError) as exc:
        raise Refusal(
            f"the broker did not do what it was asked: {exc}; 'switchyard check' may say more"
        ) from None


def _unusable(url: str, exc: Exception) -> ConfigurationError:
    reason = f" {url!r}: {exc.args[0] if exc.args else exc}"
    if "@" in url:
        # What kombu took for a host or a port may be a piece of the password.
        reason = ": it can't be read; does its user or password hold characters to percent-encode?"
    return ConfigurationError(f"cannot use the broker URL{reason}; it should look like redis://host:6379/0")


def load_app(name: str) -> Any:
    """Find an application as Celery does. Raises ConfigurationError that names what failed."""
    try:
        app = find_app(name)
        # The configuration is another module of the user's, and read when first used.
        _ = isinstance(app, Celery) and app.conf.broker_url
    except Exception as found:
        exc = _in_package(name, found)
        if ours := _ours_behind(exc):
            raise ours from None
        raise ConfigurationError(
            f"cannot load the application {name!r}: {type(exc).__name__}: {exc}; {_mend(name, exc)}"
        ) from None
    if not isinstance(app, Celery):
        raise ConfigurationError(f"{name!r} is a {type(app).__name__}, not a Celery application; check -A")
    return app


def _in_package(name: str, exc: Exception) -> Exception:
    """What is wrong in NAME.celery, where Celery looks as well and says nothing of errors."""
    package = f"{name}.celery"
    if not isinstance(exc, AttributeError) or ":" in name:
        return exc
    try:
        import_from_cwd(package)
    except ModuleNotFoundError as missing:
        return exc if missing.name in (name, package) else missing
    except Exception as behind:
        return behind
    return exc


def _mend(name: str, exc: Exception) -> str:
    if isinstance(exc, SyntaxError) and exc.filename:
        return f"mend {exc.filename} line {exc.lineno}"
    module = name.partition(":")[0]
    missing = exc.name if isinstance(exc, ModuleNotFoundError) else None
    theirs = [
        frame
        for frame in traceback.extract_tb(exc.__traceback__)
        if not frame.filename.startswith(_NOT_THEIRS)
    ]
    if not theirs or (missing and f"{module}.".startswith(f"{missing}.")):
        return "check -A, and that the current directory holds it"
    return f"mend {theirs[-1].filename} line {theirs[-1].lineno}"


def _ours_behind(exc: BaseException | None) -> SwitchyardError | None:
    """Celery wraps a ValueError of the user's module, such as our ConfigurationError, into another."""
    while exc is not None and not isinstance(exc, SwitchyardError):
        exc = exc.__cause__ or exc.__context__
    return exc


app_option = functools.partial(
    click.option,
    "-A",
    "--app",
    envvar="CELERY_APP",
    metavar="APP",
    help="Celery application, as for celery -A.",
)
_broker_option = click.option(
    "--broker",
    envvar="SWITCHYARD_BROKER_URL",
    show_envvar=True,
    metavar="URL",
    help="Broker, where no application is at hand.",
)


def on_cluster(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command ``-A`` and ``--broker``; it gets the :class:`Target` that they name."""

    @functools.wraps(command)
    def run(app: str | None, broker: str | None, **options: Any) -> None:
        with one_line_errors():
            command(_target(click.get_current_context(), app, broker), **options)

    return app_option()(_broker_option(run))


def _target(ctx: click.Context, app: str | None, broker: str | None) -> Target:
    """What the command line says, before what ``celery -A`` says, before the environment."""
    said = [
        name for name in ("app", "broker") if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
    ]
    if len(said) > 1:
        raise click.UsageError("-A and --broker may name two clusters; give one of them.", ctx)
    if said == ["broker"]:
        return Target(broker=broker)
    celerys_own = None if said else getattr(ctx.obj, "app", None)
    if chosen := celerys_own or app:
        return Target(app=chosen)
    if broker:
        return Target(broker=broker)
    raise click.UsageError("which cluster? Give -A APP or --broker URL, or set SWITCHYARD_BROKER_URL.", ctx)
