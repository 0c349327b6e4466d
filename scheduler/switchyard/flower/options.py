"""Flower's own options, from where Flower takes them: environment, configuration file, command line.

Flower ignores what it does not know; here that is an error.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from flower.utils import strtobool

from switchyard.adapters.flower_app import CONFIG_FILE, VARIABLE_PREFIX, apply_options, known_options
from switchyard.errors import ConfigurationError, nearest
from switchyard.settings import KUBERNETES_LINK

#: What values of options are, and how Flower reads them.
_KINDS: Mapping[type, tuple[str, Callable[[str], object]]] = {
    int: ("a whole number", int),
    float: ("a number", float),
    bool: ("True or False", strtobool),
}
#: Where the dashboard listens unless it is told: Flower would open itself to every network.
DEFAULT_ADDRESS = "127.0.0.1"
#: Variables that Flower reads although they are no options.
_OTHER_VARIABLES = frozenset(
    {
        "FLOWER_UNAUTHENTICATED_API",
        "FLOWER_GITHUB_OAUTH_DOMAIN",
        "FLOWER_GITLAB_OAUTH_DOMAIN",
        "FLOWER_GITLAB_AUTH_ALLOWED_GROUPS",
        "FLOWER_GITLAB_MIN_ACCESS_LEVEL",
        "FLOWER_OAUTH2_OKTA_BASE_URL",
    }
)


def read(said: Mapping[str, str]) -> tuple[Any, dict[str, Any]]:
    """Flower's options and tornado's settings; ``said`` is what the command line says, as text.

    The command line goes over the configuration file, and that over the environment. Raises
    ConfigurationError.
    """
    known = {option.name.replace("-", "_") for option in known_options()}
    path = Path(said.get("conf") or os.environ.get("FLOWER_CONF") or CONFIG_FILE)
    _refuse_unknown_variables(os.environ, known)
    _refuse_unknown_names(path, known)
    links = {name for name, value in os.environ.items() if _is_link(name, value)}
    _refuse_wrong_values(said, {name: value for name, value in os.environ.items() if name not in links})
    try:
        arguments = [f"--{name}={value}" for name, value in said.items()]
        return apply_options(DEFAULT_ADDRESS, arguments, links)
    except Exception as exc:  # the configuration file is Python, so anything may go wrong in it
        raise ConfigurationError(
            f"Flower's options: {exc}; see 'switchyard flower --help' and {path}"
        ) from None


def _refuse_unknown_variables(names: Iterable[str], options: Collection[str]) -> None:
    known = {VARIABLE_PREFIX + name.upper() for name in options} | _OTHER_VARIABLES
    for name in names:
        ours = name.startswith(VARIABLE_PREFIX) and not KUBERNETES_LINK.search(name)
        if ours and name not in known:
            raise ConfigurationError(f"unknown option {name} in the environment; {nearest(name, known)}")


def _is_link(name: str, value: str) -> bool:
    """Whether Kubernetes set this variable, because a service is called "flower"."""
    return name == f"{VARIABLE_PREFIX}PORT" and "://" in value


def _refuse_wrong_values(said: Mapping[str, str], environ: Mapping[str, str]) -> None:
    """Flower's own errors name neither the option nor the variable."""
    for option in known_options():
        name = option.name.replace("-", "_")
        values = {f"--{name.replace('_', '-')}": said.get(name)}
        values[VARIABLE_PREFIX + name.upper()] = environ.get(VARIABLE_PREFIX + name.upper())
        for where, value in values.items():
            if value is None or option.multiple or option.kind not in _KINDS:
                continue
            kind, parse = _KINDS[option.kind]
            try:
                parse(value)
            except ValueError:
                raise ConfigurationError(f"{where} is {value!r}; give {kind}") from None


def _refuse_unknown_names(path: Path, options: Collection[str]) -> None:
    """What a configuration file sets must be options, but for names that begin with an underscore."""
    if not path.is_file():
        return
    try:
        body = ast.parse(path.read_bytes()).body
    except (SyntaxError, ValueError) as exc:
        raise ConfigurationError(f"{path} is not valid Python: {exc}; mend that line") from None
    targets = [target for node in body if isinstance(node, ast.Assign) for target in node.targets]
    for name in (target.id for target in targets if isinstance(target, ast.Name)):
        if not name.startswith("_") and name not in options:
            raise ConfigurationError(f"unknown option {name!r} in {path}; {nearest(name, options)}")
