"""Flower's own options, from where Flower takes them: environment, configuration file, command line.

Flower ignores what it does not know; here that is an error.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from flower import command
from flower.options import DEFAULT_CONFIG_FILE, options
from flower.urls import settings

from switchyard.errors import ConfigurationError
from switchyard.settings import KUBERNETES_LINK, nearest

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
    _refuse_unknown_variables(os.environ)
    _refuse_unknown_names(Path(said.get("conf") or os.environ.get("FLOWER_CONF") or DEFAULT_CONFIG_FILE))
    options.address = DEFAULT_ADDRESS
    try:
        command.apply_env_options()
        command.apply_options("flower", [f"--{name}={value}" for name, value in said.items()])
    except Exception as exc:  # the configuration file is Python, so anything may go wrong in it
        raise ConfigurationError(
            f"Flower's options: {exc}; see 'switchyard flower --help' and {options.conf}"
        ) from None
    command.extract_settings()
    command.setup_logging()
    return options, settings


def _refuse_unknown_variables(names: Iterable[str]) -> None:
    known = {command.ENV_VAR_PREFIX + name.replace("-", "_").upper() for name in options} | _OTHER_VARIABLES
    for name in names:
        ours = name.startswith(command.ENV_VAR_PREFIX) and not KUBERNETES_LINK.search(name)
        if ours and name not in known:
            raise ConfigurationError(f"unknown option {name} in the environment{nearest(name, known)}")


def _refuse_unknown_names(path: Path) -> None:
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
            raise ConfigurationError(f"unknown option {name!r} in {path}{nearest(name, list(options))}")
