"""Replies of the server as text and numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from contextlib import suppress
from typing import Any


def text(value: Any) -> str:
    """A reply as text. Raises ValueError for what is no UTF-8."""
    return value.decode() if isinstance(value, bytes) else str(value)


def texts(values: Iterable[Any]) -> list[str]:
    """Those of some replies that are text."""
    found = []
    for value in values:
        with suppress(ValueError):
            found.append(text(value))
    return found


def shown(value: Any) -> str:
    """A reply for people to read, whatever it is."""
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)


def number(value: str) -> float:
    """A finite number; 0 for what is none."""
    with suppress(ValueError):
        found = float(value)
        return found if math.isfinite(found) else 0.0
    return 0.0
