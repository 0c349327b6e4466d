"""The Lua files of this package, ready to send."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True, slots=True)
class Script:
    """One operation: its source with the prelude in front, and the digest that the server knows it by."""

    name: str
    source: bytes
    sha: str


def _read(name: str) -> str:
    return (resources.files(__name__) / f"{name}.lua").read_text(encoding="utf-8")


@cache
def script(*names: str) -> Script:
    """The operation of this name, or one file in front of another; read once per process."""
    prelude = "_cache" if names[0].startswith("cache_") else "_prelude"
    source = "\n".join(map(_read, (prelude, *names))).encode()
    return Script("+".join(names), source, hashlib.sha1(source, usedforsecurity=False).hexdigest())
