"""What a node's agent asks its consumer for."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Observation:
    """What the consumer says of itself at each heartbeat.

    ``limit`` is how many tasks may be outstanding; ``stopping`` is true once it finishes what runs,
    ``hangs`` while its event loop makes no progress without a reason. ``running`` are the delivery tags of
    the tasks that run.
    """

    slots: int
    limit: int
    queues: tuple[str, ...]
    active: int
    stopping: bool = False
    hangs: bool = False
    running: Collection[str] = ()
