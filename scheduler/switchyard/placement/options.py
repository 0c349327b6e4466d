"""What a caller may say of one call's placement: ``apply_async(..., placement={...})``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict, Unpack

from switchyard.errors import ConfigurationError, nearest


class PlacementOptions(TypedDict, total=False):
    """The keys of ``placement=``. What is left out is the rule's, or else the settings'.

    ``labels`` are added to the rule's. ``key`` is for strategies that look at it, and becomes a text.
    """

    strategy: str
    labels: Mapping[str, str]
    node: str
    overflow: bool
    key: str | int


def placement_options(**options: Unpack[PlacementOptions]) -> dict[str, Any]:
    """``apply_async(args, **placement_options(key="a"))`` is ``apply_async(args, placement={"key": "a"})``.

    For type checkers: they check what is in it, and Celery's stubs do not know ``placement=``.
    """
    return {"placement": options}


def checked(task: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Those that are not None, the key as text. Raises ConfigurationError."""
    if not isinstance(options, Mapping):
        raise ConfigurationError(f"placement of {task} must be a dict, not {type(options).__name__}")
    names = PlacementOptions.__annotations__
    for unknown in sorted(map(str, options.keys() - names)):
        raise ConfigurationError(f"placement of {task} has unknown {unknown!r}; {nearest(unknown, names)}")
    if wrong := _of_a_wrong_type(options):
        raise ConfigurationError(
            f"placement of {task}: {', '.join(wrong)} has the wrong type; "
            "strategy and node are strings, overflow is true or false, labels map strings to strings"
        )
    known = {name: value for name, value in options.items() if value is not None}
    return {**known, "key": str(known["key"])} if "key" in known else known


def _of_a_wrong_type(options: Mapping[str, Any]) -> list[str]:
    wrong = [key for key in ("strategy", "node") if not isinstance(options.get(key, ""), str)]
    wrong += ["overflow"] if not isinstance(options.get("overflow", True), bool) else []
    labels = options.get("labels", {})
    if not isinstance(labels, Mapping) or not all(
        isinstance(part, str) for kv in labels.items() for part in kv
    ):
        wrong.append("labels")
    return wrong
