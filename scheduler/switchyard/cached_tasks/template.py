"""From the arguments of a call to the key of its result, by a template such as ``{sku}:{currency}``."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote
from uuid import UUID

from switchyard.errors import ConfigurationError, nearest
from switchyard.signatures import pieces_of

#: How messages call it.
DECORATOR = "switchyard.cached"

#: Values that a message brings as they were, besides texts.
_PLAIN = frozenset({int, float, bool, type(None), Decimal, UUID, datetime, date})


@dataclass(frozen=True, slots=True)
class Template:
    """Literal texts and the arguments between them; the last literal may be empty.

    An argument is put in as text, percent-encoded but for letters, digits and ``_.-~``: whatever its value
    holds, it can't be taken for the template's own separators. 1 and "1" make the same key. Only plain values
    make keys: those that are the same text before and after their journey in a message.
    """

    parts: tuple[tuple[str, str], ...]

    @property
    def fields(self) -> tuple[str, ...]:
        """The arguments that decide the key."""
        return tuple(field for _, field in self.parts if field)

    def key(self, values: Mapping[str, Any], task: str) -> str:
        """The key for these arguments; those that the template does not name do not matter.

        Raises ConfigurationError for a value that is not plain.
        """
        return "".join(
            literal + (quote(_text(values[field], field, task), safe="") if field else "")
            for literal, field in self.parts
        )

    def key_of_fields(self, values: Mapping[str, Any], task: str) -> str:
        """The key for exactly the template's fields. Raises ConfigurationError that names what is wrong."""
        if values.keys() != set(self.fields):
            given = ", ".join(sorted(values)) or "none"
            raise ConfigurationError(
                f"the key of cached task {task} is made of {', '.join(self.fields)}, but given were {given}; "
                "name exactly those"
            )
        return self.key(values, task)


def parse(template: str, signature: inspect.Signature, function: str) -> Template:
    """The template of a function's key. Raises ConfigurationError: no such argument, or more than a name."""
    parts = []
    for literal, field, spec, conversion in pieces_of(template, DECORATOR):
        if field is not None:
            _require_argument(field, spec or conversion or "", signature, template, function)
        parts.append((literal, field or ""))
    return Template(tuple(parts))


def _text(value: Any, field: str, task: str) -> str:
    # A text that is also an Enum is sent as its value; its own str() may be its name.
    if isinstance(value, str):
        return str.__str__(value)
    if type(value) in _PLAIN:
        return str(value)
    raise ConfigurationError(
        f"the key of cached task {task} is made of {field}, which is a {type(value).__name__}; pass a text, "
        "a number, a date, a UUID or None, or leave it out of the key"
    )


def _require_argument(
    field: str, more: str, signature: inspect.Signature, template: str, function: str
) -> None:
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    known = [name for name, parameter in signature.parameters.items() if parameter.kind not in kinds]
    if field in known and not more:
        return
    raise ConfigurationError(
        f"{DECORATOR} key {template!r} of {function} asks for {field + more!r}; {_hint(field, more, known)}"
    )


def _hint(field: str, more: str, known: Sequence[str]) -> str:
    if more:
        return f"write {{{field}}} alone, its value is put in as text"
    return nearest(field, known, f"its arguments are {', '.join(known) or 'none'}")
