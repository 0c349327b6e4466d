"""kombu's publish batch, which places runs of alike messages with one script call each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from kombu.transport import redis as kombu_redis

from switchyard.cluster import calls
from switchyard.cluster.calls import PLACE_MAX
from switchyard.cluster.runner import Call, operation
from switchyard.cluster.state import State
from switchyard.models import Intent, Placement, Tick
from switchyard.placement.router import PlacementRequest

#: Message property: a list that takes the message, instead of a queue, until its time comes.
DRAFTS = "drafts"


@dataclass(frozen=True, slots=True)
class Letter:
    """A message that is to be placed, and the queue, lists ahead and priority step that it is for."""

    request: PlacementRequest
    queue: str
    ahead: tuple[str, ...]
    priority: int
    message: str


#: What a message becomes that is not to go yet: a letter or, where we do not place, the call that puts it.
Draft = Letter | Callable[[], None]


@dataclass(frozen=True, slots=True)
class _Run:
    """Consecutive messages that are placed together: one intent, one queue, one priority.

    ``ticks`` are empty, or one for each message.
    """

    intent: Intent
    queue: str
    ahead: tuple[str, ...]
    priority: int
    placement: Placement
    messages: list[str] = field(default_factory=list)
    ticks: list[Tick] = field(default_factory=list)

    def takes(self, intent: Intent, queue: str, priority: int, tick: Tick | None) -> bool:
        """Whether one more such message belongs to it."""
        alike = (self.intent, self.queue, self.priority) == (intent, queue, priority)
        return alike and len(self.messages) < PLACE_MAX and bool(self.ticks) == (tick is not None)

    def add(self, message: str, tick: Tick | None) -> None:
        """Take one more."""
        self.messages.append(message)
        if tick is not None:
            self.ticks.append(tick)


class PublishBatch(kombu_redis.PublishBatch):
    """Buffers placements beside kombu's own commands, in the order in which they were published.

    ``taught`` names the scripts that the server knows. Who has many batches may keep it from one to the next,
    and must forget it when one fails.
    """

    def __init__(self, channel: Any, max_size: int, state: State) -> None:
        super().__init__(channel, max_size)
        self._state = state
        self._run: _Run | None = None
        self.taught: set[str] = set()

    def place(
        self,
        request: PlacementRequest,
        queue: str,
        ahead: Sequence[str],
        priority: int,
        message: str,
        tick: Tick | None = None,
    ) -> None:
        """Buffer one message. It joins the run before it, or starts one; an unbounded one ranks anew.

        That of a ``tick`` is dropped by the server if the tick was sent already.
        """
        self._buffered += 1
        if self._run is not None and self._run.takes(request.intent, queue, priority, tick):
            self._run.add(message, tick)
            return
        self._close_run()
        placement = request.placement(queue, priority, self._state.snapshot)
        if placement.bounded:
            self._run = _Run(request.intent, queue, tuple(ahead), priority, placement)
            self._run.add(message, tick)
            request.placer.cluster.expect(placement.candidates)
        else:
            self._place(placement, queue, ahead, priority, [message], [] if tick is None else [tick])
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
        if run is None:
            return
        self._place(run.placement, run.queue, run.ahead, run.priority, run.messages, run.ticks)

    def _place(
        self,
        placement: Placement,
        queue: str,
        ahead: Sequence[str],
        priority: int,
        messages: Sequence[str],
        ticks: Sequence[Tick],
    ) -> None:
        keys = self._state.keys
        call = calls.place(keys, placement, queue, ahead, priority, messages)
        self._call(calls.tick(keys, call, ticks) if ticks else call)

    def _call(self, call: Call) -> None:
        known = operation(call.operation)
        if known.name not in self.taught:
            # Taught in the same round trip: a server that restarted has forgotten it.
            self.pipeline.execute_command("SCRIPT LOAD", known.source)
            self.taught.add(known.name)
        # In lower case, because kombu's prefixing pipeline takes EVALSHA for one of its own.
        self.pipeline.execute_command("evalsha", known.sha, len(call.keys), *call.keys, *call.args)
