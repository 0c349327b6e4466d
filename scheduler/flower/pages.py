"""Our pages in Flower's look."""

from __future__ import annotations

from typing import Any


def handlers() -> list[Any]:
    """The pages, as tornado ``url`` objects."""
    return []
