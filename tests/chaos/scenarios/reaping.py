"""A node dies with hundreds of thousands of claims: giving them back must cost nobody a lease."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import redis

from switchyard.cluster.state import State
from tests.chaos.bed.bed import Bed, Wishes, made, monotonic_offset
from tests.chaos.evidence import observe
from tests.chaos.machines.servers import Server
from tests.chaos.run import drive
from tests.chaos.run.drive import Say
from tests.chaos.scenarios.story import Story
from tests.support.waiting import wait_until

_DEAD = "overloaded"
#: A queue that nobody serves: what is given back stays there to be counted.
_QUEUE = "aside"
#: No script may take longer, in ms; the server says which did, but for those under this one.
_SCRIPT = 50
#: Claims that are made at once.
_STEP = 1000
#: For all to be given back, in seconds for each claim and in all.
_A_CLAIM, _BESIDES = 0.002, 60.0


def wishes(nodes: int, slots: int, lease: float) -> Wishes:
    """A cluster under load, which goes on meanwhile."""
    return Wishes(nodes=nodes, slots=slots, producers=1, lease=lease, renew=lease / 4)


def run(wishes: Wishes, count: int, folder: Path, say: Say) -> Story:
    """The claims are made as a node makes them; then its lease runs out."""
    with made(wishes, folder, Server(folder / "redis")) as bed:
        client = bed.client
        state = State(client, observe.KEYS)
        client.config_set("slowlog-log-slower-than", _SCRIPT * 1000)
        client.config_set("slowlog-max-len", 1000)
        _hold(state, client, count, wishes.lease)
        say(f"{count} claims of a node whose lease runs out now")
        client.slowlog_reset()
        begin = time.monotonic()
        wait_until(
            lambda: client.llen(_QUEUE) >= count, "all is given back", _BESIDES + count * _A_CLAIM, look=0.5
        )
        took = time.monotonic() - begin
        slow = [
            entry["duration"] / 1000 for entry in _slowlog(client) if entry["command"][:4].upper() == b"EVAL"
        ]
        wrong = [*_order(client, count), *_fenced(bed)]
        client.delete(_QUEUE)
        bed.stop_producers()
        drive.drain(bed)
        evidence = drive.gather(bed)
    if slow:
        wrong.append(f"{len(slow)} scripts took more than {_SCRIPT} ms, the longest {max(slow):.0f} ms")
    return Story(evidence, tuple(wrong), {f"{count} claims given back after": f"{took:.1f} s"})


def _hold(state: State, client: redis.Redis, count: int, lease: float) -> None:
    fields: dict[str, str | int] = {"slots": count, "limit": count, "queues": json.dumps([_QUEUE])}
    fields |= {"labels": "{}", "lease": 3_600_000, "load": "{}"}
    epoch = state.register(_DEAD, f"{_DEAD}-1", 3_600_000, [_QUEUE], fields).epoch
    for first in range(0, count, _STEP):
        client.lpush(_QUEUE, *(_message(number) for number in range(first, first + _STEP)))
        for _ in range(0, _STEP, 500):
            state.claim(_DEAD, epoch, 500, [], [[_QUEUE]])
    client.hset(state.keys.node(_DEAD), "lease", int(lease * 1000))
    client.zadd(state.keys.nodes, {_DEAD: state.now_ms() - 1})


def _message(number: int) -> str:
    return json.dumps({"body": "W10=", "headers": {"id": f"held{number}"}})


def _slowlog(client: redis.Redis) -> list[Any]:
    found: list[Any] = client.slowlog_get(1000)
    return found


def _order(client: redis.Redis, count: int) -> list[str]:
    tasks = [observe.task_of(message) for message in reversed(client.lrange(_QUEUE, 0, -1))]
    return [] if tasks == [f"held{number}" for number in range(count)] else ["the order was not kept"]


def _fenced(bed: Bed) -> list[str]:
    """Nodes that were declared lost beside the dead one."""
    lost = {loss.node for loss in observe.losses(bed.client, monotonic_offset())} - {_DEAD}
    return [f"{', '.join(sorted(lost))} lost the lease meanwhile"] if lost else []
