"""The function that a decorator of ours is put on, and the key that is made of its arguments."""

from __future__ import annotations

import inspect
import string

from switchyard.errors import ConfigurationError

#: A literal text and the argument behind it, with what follows a ``:`` or ``!``; None where no argument is.
Piece = tuple[str, str | None, str | None, str | None]


def signature_of(function: object, decorator: str) -> inspect.Signature:
    """What the function takes. Raises ConfigurationError if it is none, or a task already."""
    if not callable(function) or hasattr(function, "apply_async"):
        raise ConfigurationError(
            f"{decorator} got {type(function).__name__}, not a function; put it under @app.task"
        )
    return inspect.signature(function)


def pieces_of(key: str, decorator: str) -> list[Piece]:
    """The parts of a key, which is a format string. Raises ConfigurationError if it is none."""
    if not isinstance(key, str):
        raise ConfigurationError(f'{decorator} key {key!r} is no text; write one, such as "{{name}}"')
    try:
        return list(string.Formatter().parse(key))
    except ValueError as exc:
        raise ConfigurationError(f"{decorator} key {key!r}: {exc}; mend its braces") from None
