"""Strategies rank nodes for one task. Each is a small class in a file of its own.

Others add theirs through the entry point group ``switchyard.strategies``.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from switchyard.errors import ConfigurationError, nearest
from switchyard.strategies.base import Strategy
from switchyard.strategies.least_load import LeastLoad
from switchyard.strategies.random import Random
from switchyard.strategies.round_robin import RoundRobin

__all__ = ["ENTRY_POINT_GROUP", "Strategy", "make", "names"]

ENTRY_POINT_GROUP = "switchyard.strategies"

_OURS: dict[str, type[Strategy]] = {"least_load": LeastLoad, "random": Random, "round_robin": RoundRobin}


def names() -> list[str]:
    """The names of every strategy that is installed."""
    return sorted({*_OURS, *_others()})


def make(name: str) -> Strategy:
    """A fresh strategy of this name. Raises ConfigurationError for a name that nobody offers."""
    if name in _OURS:
        return _OURS[name]()
    others = _others()
    if name not in others:
        raise ConfigurationError(f"unknown strategy {name!r}; {nearest(name, names())}")
    try:
        strategy: Strategy = others[name].load()()
    except (ImportError, AttributeError) as exc:
        raise ConfigurationError(
            f"strategy {name!r} from {others[name].value} can't be loaded: {exc}; "
            "mend or remove the package that offers it"
        ) from exc
    if not callable(getattr(strategy, "rank", None)):
        raise ConfigurationError(
            f"strategy {name!r} from {others[name].value} has no method rank(task, nodes)"
        )
    return strategy


def _others() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
