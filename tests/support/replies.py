"""Replies of redis-py as the text that they are: its annotations leave open what a client gives."""

from __future__ import annotations

from collections.abc import Iterable


def text(reply: object) -> str:
    """The text of one reply in bytes."""
    assert isinstance(reply, bytes)
    return reply.decode()


def texts(replies: Iterable[object]) -> list[str]:
    """The texts of many."""
    return [text(reply) for reply in replies]
