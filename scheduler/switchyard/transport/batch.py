"""Placements on a pipeline: runs of alike messages with one script call each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from switchyard.cluster import calls
from switchyard.cluster.calls import MESSAGES_BYTES, PLACE_MAX
from switchyard.cluster.runner import Call, operation
from switchyard.cluster.state import State
from switchyard.models import Placement, Tick
from switchyard.placement.request import PlacementRequest

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


@dataclass(slots=True)
class _Run:
    """Consecutive messages that are placed together: as the first one's intent, queue and priority say.

    ``ticks`` are empty, or one for each message; ``size`` is that of all messages, in characters.
    """

    first: Letter
    placement: Placement
    size: int = 0
    messages: list[str] = field(default_factory=list)
    ticks: list[Tick] = field(default_factory=list)

    def takes(self, letter: Letter, tick: Tick | None) -> bool:
        """Whether one more such message belongs to it."""
        first = self.first
        alike = (first.request.intent, first.queue, first.priority) == (
            letter.request.intent,
            letter.queue,
            letter.priority,
        )
        room = len(self.messages) < PLACE_MAX and self.size < MESSAGES_BYTES
        return alike and room and bool(self.ticks) == (tick is not None)

    def add(self, message: str, tick: Tick | None) -> None:
        """Take one more."""
        self.messages.append(message)
        self.size += len(message)
        if tick is not None:
            self.ticks.append(tick)


class Placements:
    """Writes placements into a pipeline of redis-py's, in the order in which they were published.

    The newest ones wait for more of their kind until :meth:`write`. Each time that the pipeline is executed
    the server is taught anew: it may have forgotten the scripts since. ``taught`` names those that it knows:
    whoever may send all again when one fails can keep it from one pipeline to the next.
    """

    def __init__(self, state: State, pipeline: Any, taught: set[str] | None = None) -> None:
        self._state = state
        self._pipeline = pipeline
        self._run: _Run | None = None
        self._taught: set[str] = set() if taught is None else taught
        self._relies = taught is not None
        self._ticks: list[Sequence[Tick]] = []

    def place(self, letter: Letter, tick: Tick | None = None) -> None:
        """Buffer one message. It joins the run before it, or starts one; an unbounded one ranks anew.

        That of a ``tick`` is dropped by the server if the tick was sent already.
        """
        request = letter.request
        if self._run is not None and self._run.takes(letter, tick):
            self._run.add(letter.message, tick)
            return
        self.write()
        placement = request.placement(letter.queue, letter.priority, self._state.snapshot)
        if placement.bounded:
            self._run = _Run(letter, placement)
            self._run.add(letter.message, tick)
            request.placer.cluster.expect(placement.candidates)
        else:
            self._write(letter, placement, [letter.message], [] if tick is None else [tick])
            request.placer.cluster.expect(placement.candidates[:1])

    def write(self) -> None:
        """Put what waits into the pipeline: something else follows."""
        run, self._run = self._run, None
        if run is not None:
            self._write(run.first, run.placement, run.messages, run.ticks)

    def discard(self) -> None:
        """Forget what waits."""
        self._run = None

    def _write(
        self, letter: Letter, placement: Placement, messages: Sequence[str], ticks: Sequence[Tick]
    ) -> None:
        """Put one call into the pipeline, for messages that are alike."""
        keys = self._state.keys
        call = calls.place(keys, placement, letter.queue, letter.ahead, letter.priority, messages)
        self._call(calls.tick(keys, call, ticks) if ticks else call, ticks)

    def refused(self, replies: Sequence[Any]) -> list[Tick]:
        """Of the ticks that were written, those that had been sent before; ``replies`` are the pipeline's."""
        answered = zip(self._ticks, replies, strict=True)
        return [ticks[number - 1] for ticks, reply in answered if ticks for number in reply[3]]

    def _begin(self) -> None:
        """What was written before was executed."""
        self._ticks.clear()
        if not self._relies:
            self._taught.clear()

    def _call(self, call: Call, ticks: Sequence[Tick]) -> None:
        if not len(self._pipeline):
            self._begin()
        known = operation(call.operation)
        if known.name not in self._taught:
            # Taught in the same round trip: a server that restarted has forgotten it.
            self._pipeline.execute_command("SCRIPT LOAD", known.source)
            self._taught.add(known.name)
            self._ticks.append(())
        self._ticks.append(ticks)
        # In lower case, because kombu's prefixing pipeline takes EVALSHA for one of its own.
        self._pipeline.execute_command("evalsha", known.sha, len(call.keys), *call.keys, *call.args)
