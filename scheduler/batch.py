"""kombu's publish batch, which places runs of alike messages with one script call each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from kombu.transport import redis as kombu_redis

from scheduler.models import Intent, Placement
from scheduler.router import PlacementRequest
from scheduler.scripts import script
from scheduler.state import PLACE_BATCH_MAX, State


@dataclass(frozen=True, slots=True)
class _Run:
    """Consecutive messages that are placed together: one intent, one queue, one priority."""

    intent: Intent
    queue: str
    ahead: tuple[str, ...]
    priority: int
    placement: Placement
    messages: list[str] = field(default_factory=list)

    def takes(self, intent: Intent, queue: str, priority: int) -> bool:
        """Whether one more such message belongs to it."""
        alike = (self.intent, self.queue, self.priority) == (intent, queue, priority)
        return alike and len(self.messages) < PLACE_BATCH_MAX


class PublishBatch(kombu_redis.PublishBatch):
    """Buffers placements beside kombu's own commands, in the order in which they were published."""

    def __init__(self, channel: Any, max_size: int, state: State) -> None:
        super().__init__(channel, max_size)
        self._state = state
        self._run: _Run | None = None
        # Taught in the same round trip: a server that restarted has forgotten them.
        for name in ("place", "place_batch"):
            self.pipeline.execute_command("SCRIPT LOAD", script(name).source)

    def place(
        self, request: PlacementRequest, queue: str, ahead: Sequence[str], priority: int, message: str
    ) -> None:
        """Buffer one message. It joins the run before it, or starts one; an unbounded one ranks anew."""
        self._buffered += 1
        if self._run is not None and self._run.takes(request.intent, queue, priority):
            self._run.messages.append(message)
            return
        self._close_run()
        placement = request.placement(queue, priority, self._state.snapshot)
        if placement.bounded:
            self._run = _Run(request.intent, queue, tuple(ahead), priority, placement, [message])
            request.placer.cluster.expect(placement.candidates)
        else:
            self._call("place", self._state.place_command(placement, queue, ahead, priority, message))
            request.placer.cluster.expect(placement.candidates[:1])

    def add(self, name: str, *args: Any) -> None:
        """Buffer a command of kombu's, behind what was published before it."""
        self._close_run()
        super().add(name, *args)

    def publish(self, message: Any, **kwargs: Any) -> Any:
        """Route one message and buffer it."""
        result = super().publish(message, **kwargs)
        if self._buffered >= self.max_size:
            self.flush()
        return result

    def flush(self) -> None:
        """Execute what is buffered, in one round trip."""
        self._check_usable()
        self._close_run()
        super().flush()

    def discard(self) -> None:
        """Forget what is buffered."""
        self._run = None
        super().discard()

    def _close_run(self) -> None:
        run, self._run = self._run, None
        if run is not None:
            command = self._state.place_batch_command(
                run.placement, run.queue, run.ahead, run.priority, run.messages
            )
            self._call("place_batch", command)

    def _call(self, name: str, command: tuple[list[str], list[str | bytes | int]]) -> None:
        keys, args = command
        # In lower case, because kombu's prefixing pipeline takes EVALSHA for one of its own.
        self.pipeline.execute_command("evalsha", script(name).sha, len(keys), *keys, *args)
