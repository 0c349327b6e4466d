"""What is in Redis that no version of ours writes: skipped where it is met, named by ``switchyard check``.

Somebody's script, a slip at three in the morning or a version to come may leave such a thing. It must never
keep a producer from publishing, a node from its heartbeat, or an operator from seeing the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from switchyard.cluster.replies.decoding import shown
from switchyard.errors import one_line

T = TypeVar("T")
R = TypeVar("R")

#: What reading somebody else's bytes may raise; RecursionError comes of JSON that is nested deeply.
UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError)
#: Characters of what is wrong with a stranger that are told.
_WHY_MAX = 160


@dataclass(frozen=True, slots=True)
class Stranger:
    """Something that can't be read: what it is, and what is wrong with it, both in one short line."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Rows(Generic[T]):
    """Those of some rows that could be read, in their order, and those that could not."""

    read: list[T]
    strange: list[Stranger]


def read_rows(what: str, rows: Iterable[tuple[Any, R]], reader: Callable[[R], T]) -> Rows[T]:
    """Read what can be read. ``rows`` come with the name of each; ``what`` says what they are."""
    found: Rows[T] = Rows([], [])
    for name, row in rows:
        try:
            found.read.append(reader(row))
        except UNREADABLE as exc:
            why = one_line(exc, _WHY_MAX)
            found.strange.append(Stranger(f"{what} {shown(name)}", why))
    return found
