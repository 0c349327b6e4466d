"""Whatever type a user receives can be named: it is exported from ``switchyard``."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import pytest

import switchyard

EXPORTED = {name: getattr(switchyard, name) for name in switchyard.__all__}


def received(thing: Any) -> Iterator[Any]:
    """The types that a function, or a class's public methods, properties and fields, give."""
    if not inspect.isclass(thing):
        yield get_type_hints(thing)["return"]
        return
    if dataclasses.is_dataclass(thing) or hasattr(thing, "model_fields"):
        yield from (kind for name, kind in get_type_hints(thing).items() if not name.startswith("_"))
    for name, member in vars(thing).items():
        function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        if not name.startswith("_") and inspect.isfunction(function):
            yield get_type_hints(function)["return"]


def ours(kind: Any) -> set[type]:
    """The classes of ours that a type is made of."""
    made_of = functools.reduce(set.union, map(ours, get_args(kind)), set[type]())
    is_ours = inspect.isclass(kind) and kind.__module__.partition(".")[0] == "switchyard"
    return made_of | ({kind} if is_ours else set())


@pytest.mark.parametrize("name", EXPORTED)
def test_what_a_user_receives_is_exported(name: str) -> None:
    """Broken if a user cannot annotate what one of our functions returns without a private import."""
    found = functools.reduce(set.union, map(ours, received(EXPORTED[name])), set[type]())
    assert {kind.__name__ for kind in found} <= {*EXPORTED}


def test_the_walk_finds_what_is_inside_other_types() -> None:
    """Broken if the test above looks at nothing."""
    assert ours(list[switchyard.ServerState] | None) == {switchyard.ServerState}
    assert switchyard.Figures in received(switchyard.Cache)
    assert switchyard.Standing in received(switchyard.ServerState)
    assert switchyard.Delivery in ours(next(received(switchyard.current_delivery)))


def test_the_list_of_exports_is_what_there_is() -> None:
    """Broken if `from switchyard import *`, or an editor, shows less than the package has."""
    public = {
        name for name, value in vars(switchyard).items() if name[0] != "_" and not inspect.ismodule(value)
    }
    assert public - {"annotations"} == set(switchyard.__all__)
