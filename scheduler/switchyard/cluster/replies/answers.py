"""What the Lua operations answer, as values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from pydantic import TypeAdapter

from switchyard.cluster.keys import OVERFLOWED, PLACED
from switchyard.cluster.replies.decoding import number, shown, text
from switchyard.cluster.replies.strangers import UNREADABLE
from switchyard.models import Claim, Counters, DeadTask, Event, ListNames, Load, Node, NodeState

#: Fields of a node's hash that a snapshot reads, in the order in which :func:`read_node` gets them.
NODE_FIELDS = (
    *("state", "slots", "limit", "queues", "labels", "load", "hostname", "pid", "versions", "lease"),
    *("lists", "complaint"),
)
#: Fields of a node's hash that say who it is, in the order in which :func:`read_holder` gets them.
HOLDER_FIELDS = ("incarnation", "machine", "pid", "ticks", "hostname")
_LOAD, _NAMES, _TEXTS = TypeAdapter(Load), TypeAdapter(frozenset[str]), TypeAdapter(dict[str, str])


@dataclass(frozen=True, slots=True)
class Holder:
    """Who registered under a node name: a process, told apart by the machine's boot, its id and its start.

    ``ticks`` are those of its machine's clock at its start, 0 if it did not say.
    """

    incarnation: str = ""
    machine: str = ""
    pid: int = 0
    ticks: int = 0
    hostname: str = ""


@dataclass(frozen=True, slots=True)
class Registration:
    """The answer to register: ``new``, ``kept``, ``held`` (by whom, ms left) or ``reap`` (first)."""

    answer: str
    epoch: str = ""
    held_ms: int = 0
    held_by: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """Where a node's heartbeats have come to in looking through the wait lists, a part at a time.

    ``at`` is when the last one was, in ms by the server's clock, ``cursor`` that of the scan ("0" where it
    begins and ends), ``most`` how many lists each is told of at most, or twice that.
    """

    at: int = 2**53
    cursor: str = "0"
    most: int = 25


@dataclass(frozen=True, slots=True)
class Renewal:
    """The answer to a heartbeat. ``overdue`` nodes want reaping, and callers of the tasks ``given_up``
    (receipts) want to be told. ``waiting`` are some of the wait lists with work, ``look`` is for the next
    heartbeat, ``claims`` how many the node holds as far as the server knows."""

    fenced: bool
    state: NodeState = NodeState.UP
    overdue: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    given_up: tuple[str, ...] = ()
    look: Look = Look()
    claims: int = 0


@dataclass(frozen=True, slots=True)
class Settlement:
    """The answer to settle: how many claims went, or, of a fenced epoch, what became of the copies."""

    fenced: bool
    settled: int = 0
    cancelled: int = 0
    possible_duplicates: int = 0


@dataclass(frozen=True, slots=True)
class Reaped:
    """What a reap did: tasks given back, tasks given up, and whether there is ``more`` to do."""

    alive: bool
    restored: int = 0
    given_up: int = 0
    more: bool = False


class Crash(IntEnum):
    """What became of a claim whose pool process died."""

    NOT_HELD = 0
    GIVEN_BACK = 1
    GIVEN_UP = 2


@dataclass(frozen=True, slots=True)
class Claimed:
    """The answer to claim: ``ok``, ``more`` (for the next one), ``fenced`` or ``draining``; messages."""

    answer: str
    claims: tuple[Claim, ...] = ()


@dataclass(frozen=True, slots=True)
class Depth:
    """Tasks of one home on one node, and the oldest of them as kombu wrote it."""

    home: str
    count: int
    oldest: bytes


def read_state(state: str) -> NodeState:
    """A node that is stopping drains, for all that others need to know. ValueError if there is none such."""
    return NodeState.DRAINING if state == "stopping" else NodeState(state or "up")


def read_depths(flat: Sequence[Any]) -> list[Depth]:
    """Home, count and oldest message, one after the other."""
    return [Depth(shown(home), count, oldest) for home, count, oldest in zip(*[iter(flat)] * 3, strict=True)]


def read_holder(values: Sequence[Any]) -> Holder:
    """Who registered under a name; a number that is none counts as not said."""
    incarnation, machine, pid, ticks, hostname = (shown(value or b"") for value in values)
    return Holder(incarnation, machine, int(number(pid)), int(number(ticks)), hostname)


def read_node(now_ms: int, row: Sequence[Any]) -> Node:
    """One row of a snapshot. Raises one of UNREADABLE if the node says what no version of ours does."""
    name, at, registered, inbox, claims, values = row
    field = dict(zip(NODE_FIELDS, (text(value or b"") for value in values), strict=True))
    lease = int(field["lease"] or 0) / 1000
    left = (float(at) - now_ms) / 1000
    # A deadline further ahead than two leases is from before the clock was set back.
    alive = registered == b"up" and left > 0 and not 0 < 2 * lease < left
    return Node(
        name=text(name),
        state=read_state(field["state"]) if alive else NodeState.LOST,
        slots=int(field["slots"] or 0),
        limit=int(field["limit"] or 0),
        inbox=int(inbox),
        claims=int(claims),
        queues=_NAMES.validate_json(field["queues"] or "[]"),
        labels=_TEXTS.validate_json(field["labels"] or "{}"),
        load=_read_load(field["load"] or "{}"),
        lease_age=round(max(lease - left, 0.0), 3),
        lease_left=round(max(left, 0.0), 3) if alive else 0.0,
        hostname=field["hostname"],
        pid=int(field["pid"] or 0),
        versions=_TEXTS.validate_json(field["versions"] or "{}"),
        lists=ListNames.loads(field["lists"]) if field["lists"] else ListNames(),
        complaint=field["complaint"],
    )


def _read_load(said: str) -> Load:
    """What we know of a load; a node of a later version may say more."""
    load = _LOAD.validate_json(said)
    if not math.isfinite(load.cpu + load.memory + load.load1 + load.renewal + sum(load.runtimes.values())):
        raise ValueError("a figure of its load is infinite or none")
    return load


def read_event(entry: Any, fields: Mapping[Any, Any]) -> Event:
    """One entry of the event stream. Raises one of UNREADABLE."""
    return Event(
        kind=text(fields[b"kind"]),
        node=text(fields[b"node"]),
        count=int(fields[b"count"]),
        at=int(text(entry).partition("-")[0]) / 1000,
        id=text(entry),
    )


def read_dead(receipt: str, fields: Mapping[Any, Any]) -> DeadTask | None:
    """The hash of a task that was given up on; None if it is empty. Raises one of UNREADABLE."""
    if not fields:
        return None
    entry = {text(field): value for field, value in fields.items()}
    return DeadTask(
        receipt=receipt,
        home=text(entry["home"]),
        message=entry["message"],
        reason=text(entry["reason"]),
        at=int(entry["at"]) / 1000,
        deaths=int(entry["deaths"]),
        nodes=tuple(name.strip() for name in _lines(text(entry["nodes"]))),
    )


def read_placed(fields: Mapping[Any, Any]) -> dict[str, int]:
    """Strategies and how many tasks each placed, from fields of a node's hash, but for what is no count."""
    return {field.removeprefix(PLACED): count for field, count in _counts(fields).items()}


def read_counters(fields: Mapping[Any, Any]) -> Counters:
    """The cluster's counters; those that never moved are 0."""
    counts = _counts(fields)
    overflowed = {
        field.removeprefix(OVERFLOWED): count
        for field, count in counts.items()
        if field.startswith(OVERFLOWED)
    }
    return Counters(
        restored=counts.get("restored", 0),
        given_up=counts.get("given up", 0),
        possible_duplicates=counts.get("possible duplicates", 0),
        overflowed=overflowed,
    )


def _counts(fields: Mapping[Any, Any]) -> dict[str, int]:
    found = {}
    for field, count in fields.items():
        with suppress(*UNREADABLE):
            found[text(field)] = int(count)
    return found


def _lines(nodes: str) -> list[str]:
    """The lines that name a node; the one with a tab counts what came back without a death."""
    lines = nodes.replace("\r", "\n").split("\n")
    return [line for line in lines if line and not line.startswith("\t")]
