"""Which versions of the libraries whose private names we use our tests ran with."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version

#: Distribution -> the oldest and the newest (major, minor) of it; each cell of docs/celery-compatibility.md.
TESTED = {"celery": ((5, 4), (5, 7)), "kombu": ((5, 4), (5, 7)), "redis": ((5, 0), (8, 1))}


def untested(installed: Callable[[str], str] = version) -> list[str]:
    """What is installed and was not tested, such as ``redis 9.0.1 (tested: 5.0 to 8.1)``."""
    found = [(name, installed(name), *bounds) for name, bounds in TESTED.items()]
    return [
        f"{name} {text} (tested: {_dotted(oldest)} to {_dotted(newest)})"
        for name, text, oldest, newest in found
        if not oldest <= _minor(text) <= newest
    ]


def _minor(text: str) -> tuple[int, ...]:
    return tuple(int("".join(filter(str.isdigit, part)) or 0) for part in text.split(".")[:2])


def _dotted(minor: tuple[int, int]) -> str:
    return ".".join(map(str, minor))
