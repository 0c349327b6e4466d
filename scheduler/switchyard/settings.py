"""What a deployment may set: a TOML file, over it environment variables ``SWITCHYARD_*``.

Unknown keys are errors: a misspelt setting that is silently ignored is found in production.
"""

from __future__ import annotations

import fnmatch
import os
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from switchyard.errors import ConfigurationError, nearest
from switchyard.urls import server_name

ENV_PREFIX = "SWITCHYARD_"
#: Variables with our prefix that are not settings: the command line and install() read them.
_OTHER_VARIABLES = frozenset({"SWITCHYARD_BROKER_URL", "SWITCHYARD_CONFIG"})
#: Celery builds its own host name from the node's: NAME@host, with % for its placeholders.
_NODE_NAME = re.compile(r"[^\s@%]{1,200}")
#: Kubernetes sets such variables for a service that happens to be called "switchyard".
KUBERNETES_LINK = re.compile(r"_SERVICE_(HOST|PORT)|_PORT(_\d+_(TCP|UDP)(_\w+)?)?$")


def checked_node(name: str) -> str:
    """The name, if a node may have it. Raises ValueError."""
    if not _NODE_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no node name: up to 200 characters, no spaces, no @, no %")
    return name


class _Told(BaseModel, frozen=True):
    """A model that tells a mistake as a ConfigurationError, with the nearest right spelling."""

    def __init__(self, _place: str | None = None, **values: Any) -> None:
        """``_place`` is where the values were read, for the message."""
        try:
            super().__init__(**values)
        except ValidationError as exc:
            raise ConfigurationError(_explain(exc, _place or f"{type(self).__name__}()")) from exc
        except SettingsError as exc:
            raise ConfigurationError(
                f"{exc}; write SWITCHYARD_LABELS, SWITCHYARD_RULES and SWITCHYARD_CACHE_SERVERS as JSON, "
                """such as '{"zone": "eu"}'"""
            ) from exc


class Rule(_Told, frozen=True):
    """How tasks whose name matches ``task`` (a glob such as ``reports.*``) are placed.

    ``labels`` and ``node`` say which nodes may run them at all; such tasks wait until one can. ``overflow``
    true leaves a task on the shared queue when the ranked nodes are full, false puts it into the first
    one's inbox all the same; without it the strategy's own way holds.
    """

    model_config = ConfigDict(extra="forbid")

    task: str = "*"
    strategy: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    overflow: bool | None = None
    node: str | None = None

    def matches(self, task: str) -> bool:
        """Whether this rule speaks for the task."""
        return fnmatch.fnmatchcase(task, self.task)


# Frozen for mypy too, which thinks that a base that is not forbids it.
class Settings(_Told, BaseSettings, frozen=True):  # type: ignore[misc]
    """Everything that can be set. Times are seconds by a monotonic clock, deadlines by the server's.

    ``SWITCHYARD_*`` variables go over what is passed. Raises ConfigurationError.
    """

    # A URL that is wrong may have a password in it.
    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, extra="forbid", hide_input_in_errors=True)

    strategy: str = Field(default="least_load", description="for tasks that no rule names one for")
    rules: tuple[Rule, ...] = Field(default=(), description="the first that matches a task's name decides")
    namespace: str = Field(
        default="switchyard", pattern=r"^[A-Za-z0-9_.-]+$", description="one per cluster on a database"
    )
    refresh: float = Field(
        default=1.0, gt=0, le=60, description="age at which a producer reads the nodes again"
    )
    renew: float = Field(default=1.0, gt=0, le=60, description="between two heartbeats of a node")
    lease: float = Field(default=5.0, gt=0, le=600, description="silence after which a node counts as lost")
    poll: float = Field(
        default=1.0, gt=0, le=60, description="longest a free node goes without looking at the queues"
    )
    max_deliveries: int = Field(
        default=5,
        ge=1,
        description="nodes or pool processes that may die running a task before it is given up",
    )
    cache_servers: tuple[str, ...] = Field(
        default=(), description="URLs; without any, the broker's own server"
    )
    cache_replicas: int = Field(default=2, ge=1, le=10, description="servers that hold each cached result")
    near_entries: int = Field(
        default=10_000, ge=0, description="cached results in a process's memory; 0 is none"
    )
    near_bytes: int = Field(
        default=16_000_000, ge=0, description="bytes of cached results in a process's memory"
    )
    node: str | None = Field(default=None, description="this node's name")
    labels: dict[str, str] = Field(default_factory=dict, description="this node's labels")

    @field_validator("node")
    @classmethod
    def _is_a_name(cls, node: str | None) -> str | None:
        return None if node is None else checked_node(node)

    @field_validator("cache_servers")
    @classmethod
    def _lead_to_servers(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        for url in urls:
            server_name(url)
        return urls

    @model_validator(mode="after")
    def _lease_outlives_a_missed_heartbeat(self) -> Settings:
        if self.lease < 2 * self.renew:
            raise ValueError(
                f"lease ({self.lease} s) must be at least twice renew ({self.renew} s), "
                "or one late heartbeat loses the node"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment over file: a machine's own word comes last. Raises ConfigurationError."""
        _refuse_unknown_variables(os.environ)
        return (env_settings, init_settings)

    def rule_for(self, task: str) -> Rule:
        """The first rule that matches, or one that says nothing."""
        return next((rule for rule in self.rules if rule.matches(task)), Rule())


def load(path: str | os.PathLike[str] | None = None) -> Settings:
    """Read ``path``, or the file that ``SWITCHYARD_CONFIG`` names, and the environment.

    Raises ConfigurationError that names the key, the file and the nearest right spelling.
    """
    path = path or os.environ.get("SWITCHYARD_CONFIG")
    values = _read(Path(path)) if path else {}
    return Settings(**values | {"_place": str(path) if path else "the environment"})


def _read(path: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ConfigurationError(
            f"cannot read settings from {path}: {exc.strerror}; check the path"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"{path} is not valid TOML: {exc}; mend that line") from None
    for name in values.keys() - Settings.model_fields:
        raise ConfigurationError(
            f"unknown setting {name!r} in {path}; {nearest(name, Settings.model_fields)}"
        )
    return values


def _refuse_unknown_variables(names: Iterable[str]) -> None:
    known = {ENV_PREFIX + field.upper() for field in Settings.model_fields} | _OTHER_VARIABLES
    for name in names:
        if name.startswith(ENV_PREFIX) and name not in known and not KUBERNETES_LINK.search(name):
            raise ConfigurationError(f"unknown setting {name} in the environment; {nearest(name, known)}")


def _explain(exc: ValidationError, where: str) -> str:
    """The first mistake, in one line, and how many more there are."""
    first, *others = _mistakes(exc)
    return first.told(where) + (f" (and {len(others)} more)" if others else "")


@dataclass(frozen=True, slots=True)
class _Mistake:
    """What is wrong with one key, of a model or of a model in it."""

    model: str
    at: tuple[int | str, ...]
    kind: str
    said: str

    def told(self, where: str) -> str:
        key = ".".join(map(str, self.at))
        variable = ENV_PREFIX + key.partition(".")[0].upper()
        place = variable if variable in os.environ else where
        if self.kind == "extra_forbidden":
            known = Rule.model_fields if self.model == Rule.__name__ else Settings.model_fields
            return f"unknown setting {key!r} in {place}; {nearest(str(self.at[-1]), known)}"
        said = self.said.removeprefix("Value error, ")
        what = f"setting {key!r} in {place}" if key else f"settings in {where}"
        return f"{what}: {said}" if "; " in said else f"{what}: {said}; correct it there"


def _mistakes(exc: ValidationError, at: tuple[int | str, ...] = ()) -> Iterator[_Mistake]:
    for error in exc.errors():
        told = error.get("ctx", {}).get("error")
        if isinstance(told, ConfigurationError) and isinstance(told.__cause__, ValidationError):
            yield from _mistakes(told.__cause__, at + error["loc"])  # a rule has told its own already
        else:
            yield _Mistake(exc.title, at + error["loc"], error["type"], error["msg"])
