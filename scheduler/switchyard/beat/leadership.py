"""Who sends periodic tasks: what a leader says of itself, and whether it still holds."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass

from switchyard.cluster.replies.decoding import text
from switchyard.cluster.state import State


@dataclass(frozen=True, slots=True)
class Leadership:
    """The process that leads, its term, and for how long it has led, in seconds."""

    host: str
    pid: int
    term: int
    age: float


def announce(state: State, term: int) -> None:
    """This process leads from now on."""
    mine = (socket.gethostname(), str(os.getpid()), str(term), str(state.now_ms()))
    state.client.hset(state.keys.beat, mapping=dict(zip(_FIELDS, mine, strict=True)))


def leadership(state: State, election: str) -> Leadership | None:
    """Who leads by this election, None if nobody does or has said so."""
    term = text(state.client.hget(state.keys.grant(f"election:{election}"), "token") or b"")
    host, pid, said, since = (text(part or b"") for part in state.client.hmget(state.keys.beat, *_FIELDS))
    if not term or said != term:
        return None
    return Leadership(host, int(pid), int(term), max(round((state.now_ms() - int(since)) / 1000, 3), 0.0))


_FIELDS = ("host", "pid", "term", "since_ms")
