"""The Lua operations, ready to send: each is one file, the functions that it includes in front of it.

An operation is ``<room>/<name>.lua``, a function that several of them need ``includes/<name>.lua``. The
comment on top of either says what it needs, on as many lines as it takes:

* ``-- include: now_ms, ring`` puts these functions in front, and what they include themselves, each once;
* ``-- names: BELL, NODE`` makes these names of keys known, as the caller of :func:`script` spells them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

#: Where the functions are that operations share.
INCLUDES = "includes"

#: Names of keys and how they are spelt.
Names = tuple[tuple[str, str], ...]


class BrokenScript(Exception):
    """A Lua file asks for what is not there; a mistake of ours, never of a user."""


@dataclass(frozen=True, slots=True)
class Script:
    """One operation: its source with all that it needs in front, and the digest that servers know it by."""

    name: str
    source: bytes
    sha: str


@dataclass(frozen=True, slots=True)
class LuaFile:
    """One file, and what its header asks for."""

    name: str
    text: str
    includes: tuple[str, ...]
    names: tuple[str, ...]


@cache
def script(name: str, names: Names = ()) -> Script:
    """The operation ``<room>/<name>``, read once per process; ``names`` are those that it may ask for.

    Raises BrokenScript if it needs a function or a name that there is not, or includes go in a circle.
    """
    files = files_of(name)
    parts = [_spelt(files, dict(names)), *(file.text for file in files)]
    source = "\n".join(parts).encode()
    return Script(name, source, hashlib.sha1(source, usedforsecurity=False).hexdigest())


def files_of(name: str) -> list[LuaFile]:
    """The file of an operation, last, behind all that it includes; what it needs stands before it.

    Raises BrokenScript as :func:`script` does.
    """
    return list(_in_order(name, ()))


def operations() -> list[str]:
    """Every operation there is."""
    rooms = sorted(room.name for room in _folder().iterdir() if room.is_dir())
    return [name for room in rooms if room not in {INCLUDES, "__pycache__"} for name in names_in(room)]


def names_in(room: str) -> list[str]:
    """Every file of a room, without its ending."""
    files = (file.name for file in (_folder() / room).iterdir())
    return sorted(f"{room}/{file.removesuffix('.lua')}" for file in files if file.endswith(".lua"))


@cache
def lua_file(name: str) -> LuaFile:
    """A file by its name without ending. Raises BrokenScript if there is none."""
    try:
        text = (_folder() / f"{name}.lua").read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BrokenScript(f"there is no {name}.lua; see who includes it") from None
    return LuaFile(name, text, _asked(text, "include"), _asked(text, "names"))


def _folder() -> Traversable:
    return resources.files(__name__)


def _asked(text: str, word: str) -> tuple[str, ...]:
    """What the comment on top lists behind this word."""
    found: list[str] = []
    for line in text.partition("\n\n")[0].splitlines():
        if line.startswith(start := f"-- {word}:"):
            found += line.removeprefix(start).replace(" ", "").split(",")
    return tuple(found)


def _in_order(name: str, above: tuple[str, ...]) -> Iterator[LuaFile]:
    """The file behind all that it includes, each once."""
    if name in above:
        raise BrokenScript(f"these Lua files include each other: {' -> '.join((*above, name))}")
    file, seen = lua_file(name), set()
    for include in file.includes:
        for needed in _in_order(f"{INCLUDES}/{include}", (*above, name)):
            if needed.name not in seen:
                seen.add(needed.name)
                yield needed
    yield file


def _spelt(files: list[LuaFile], names: dict[str, str]) -> str:
    """The names that these files ask for, as locals of Lua."""
    asked = sorted({name for file in files for name in file.names})
    for file in files:
        for name in file.names:
            if name not in names:
                raise BrokenScript(f"{file.name}.lua asks for the name {name}, which no caller of it spells")
    if not asked:
        return ""
    return f"local {', '.join(asked)} = {', '.join(_quoted(names[name]) for name in asked)}"


def _quoted(text: str) -> str:
    """Text as a literal of Lua."""
    letters = (
        chr(byte) if (chr(byte).isalnum() and byte < 128) or byte == ord(":") else f"\\{byte:03}"
        for byte in text.encode()
    )
    return f"'{''.join(letters)}'"
