"""A channel's side towards its queues: where a message goes that carries a placement."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from kombu.utils.json import dumps

from switchyard.adapters.kombu_redis.message import Payload
from switchyard.adapters.kombu_redis.sides import RedisChannel
from switchyard.cluster.keys import checked_queue
from switchyard.cluster.state import State
from switchyard.placement.request import PLACEMENT, PlacementRequest
from switchyard.transport.batch import DRAFTS, Draft, Letter, Placements

#: Message properties that are for us and go no further.
_OURS = frozenset({PLACEMENT, DRAFTS})


class Placing:
    """Places what asks for it and counts what waits; ``state`` gives the cluster's over the channel."""

    def __init__(self, channel: RedisChannel, state: Callable[[], State]) -> None:
        self.state = state
        self._channel = channel

    def put(self, queue: str, message: Payload, batch: Placements | None) -> Payload | None:
        """Place a message, or return it as kombu shall put it. Raises ConfigurationError."""
        checked_queue(self.state().keys, queue)
        request, drafts, message = _split(message)
        # A queue that expires lives and dies with its one list; an inbox would outlive it.
        if request is not None and self._channel.expires(queue):
            request = None
        if drafts is not None:
            drafts.append(self._draft(request, queue, message))
            return None
        if request is None:
            return message
        letter = self._letter(request, queue, message)
        if batch is None:
            self._place(letter)
        else:
            batch.place(letter)
        return None

    def put_fanout(self, exchange: str, message: Payload, routing_key: str) -> Payload | None:
        """Return a message as kombu shall publish it: broadcasts are never placed."""
        _, drafts, message = _split(message)
        if drafts is None:
            return message
        drafts.append(partial(self._channel.put_fanout_stock, exchange, message, routing_key))
        return None

    def batch(self, pipeline: Any) -> Placements:
        """Placements for a batch of kombu's."""
        return Placements(self.state(), pipeline)

    def size(self, queue: str) -> int:
        """Tasks that wait: on the shared queue, on wait lists, in inboxes."""
        return self.state().size(self._lists(queue))

    def purge(self, queue: str) -> int:
        """Throw away what :meth:`size` counts; claimed tasks run on."""
        state = self.state()
        lists = [state.keys.shared(name) for name in self._lists(queue)]
        lists += [key for key in state.wait_lists() if state.keys.queue_of(key) == queue]
        return state.purge(lists)

    def _lists(self, queue: str) -> list[str]:
        return [self._channel.list_name(queue, step) for step in self._channel.priority_steps]

    def _place(self, letter: Letter) -> None:
        state, request = self.state(), letter.request
        placement = request.placement(letter.queue, letter.priority, state.snapshot)
        request.placer.cluster.learn(
            state.place(placement, letter.queue, letter.ahead, letter.priority, letter.message)
        )

    def _letter(self, request: PlacementRequest, queue: str, message: Payload) -> Letter:
        channel = self._channel
        step = channel.step_of(message)
        ahead = tuple(channel.list_name(queue, before) for before in channel.priority_steps if before <= step)
        return Letter(request, queue, ahead, step, dumps(message))

    def _draft(self, request: PlacementRequest | None, queue: str, message: Payload) -> Draft:
        if request is None:
            return partial(self._channel.put_stock, queue, message)
        return self._letter(request, queue, message)


def _split(message: Payload) -> tuple[PlacementRequest | None, list[Draft] | None, Payload]:
    """The request for a placement, where to put drafts, and the message without both, with the time.

    The message itself stays as it is: a topic exchange puts it several times, a broken connection again.
    """
    own = message["properties"]
    request, drafts = own.get(PLACEMENT), own.get(DRAFTS)
    if request is None and drafts is None:
        return None, None, message
    properties = {name: value for name, value in own.items() if name not in _OURS}
    properties.setdefault("timestamp", time.time())  # AMQP's own property; the age that `queues` shows
    message = {**message, "properties": properties}
    return (request if isinstance(request, PlacementRequest) else None), drafts, message
