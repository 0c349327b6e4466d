"""A process that publishes without end: ``python -m tests.chaos.bed.producer NAME SEED BACKLOG``.

It notes a task before apply_async and again when that returned: only then is the publish acknowledged.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from tests.chaos.bed.app import QUEUE, app
from tests.chaos.evidence.ledger import Writer

#: Publishes between two looks at the queue.
_BETWEEN_LOOKS = 20
#: Between two looks at a queue that is long enough, in seconds.
_PAUSE = 0.02
#: What a producer does no longer than it must when the broker is away, in seconds.
_AFTER_AN_ERROR = 0.1
#: Tasks that one producer publishes at most, so that it ends whatever happens.
_MOST = 2_000_000
_BROKEN = (OperationalError, RedisError, OSError)


def publish(name: str, seed: int, backlog: int, stop: threading.Event) -> None:
    """Keep ``backlog`` tasks waiting until told to stop."""
    draw = random.Random(f"{seed}.{name}")
    writer = Writer(Path(os.environ["CHAOS_FOLDER"], "publishes"), name)
    switchyard = os.environ["CHAOS_ENGINE"] == "switchyard"
    for number, batch in _numbers(stop):
        if batch:
            _wait_for_room(backlog, stop)
        task = f"{name}-{os.getpid()}-{number}"
        seconds, options = _length(draw), _placement(draw)
        writer.write(task, "asked")
        try:
            app.tasks["work"].apply_async((seconds,), task_id=task, **(options if switchyard else {}))
        except _BROKEN:
            stop.wait(_AFTER_AN_ERROR)
            continue
        writer.write(task, "acked")


def _numbers(stop: threading.Event) -> Iterator[tuple[int, bool]]:
    for number in range(_MOST):
        if stop.is_set():
            return
        yield number, number % _BETWEEN_LOOKS == 0


def _length(draw: random.Random) -> float:
    """Seconds: most up to 50 ms, some up to 1 s."""
    return round(draw.uniform(0.1, 1.0) if draw.random() < 0.03 else draw.uniform(0.0, 0.05), 4)


def _placement(draw: random.Random) -> dict[str, Any]:
    """Most tasks as the cluster likes; some into inboxes whether full or not, some through a wait list."""
    kind = draw.random()
    if kind < 0.10:
        return {"placement": {"strategy": "random"}}
    if kind < 0.15:
        return {"placement": {"labels": {"chaos": "yes"}}}
    return {}


def _wait_for_room(backlog: int, stop: threading.Event) -> None:
    with suppress(*_BROKEN), app.connection_for_write() as connection:
        client = connection.default_channel.client
        while not stop.is_set() and client.llen(QUEUE) > backlog:
            stop.wait(_PAUSE)


def main(name: str, seed: str, backlog: str) -> None:
    """Publish until SIGTERM."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    publish(name, int(seed), int(backlog), stop)


if __name__ == "__main__":
    main(*sys.argv[1:])
