"""What kombu's Redis channel asks of us, and what we use of it: public names for its private ones.

A channel has two sides of ours: :class:`Publishing` is asked where a message goes, :class:`Consuming` for
messages and about what becomes of them. What they do not want is kombu's, and done as kombu does it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from redis import ConnectionPool

from switchyard.adapters.kombu_redis.batch import BatchSide
from switchyard.adapters.kombu_redis.message import Message, Payload


class Publishing(Protocol):
    """A channel's side towards its queues."""

    def put(self, queue: str, message: Payload, batch: Any) -> Payload | None:
        """Take a message for a queue; what is returned, kombu puts. ``batch`` is what :meth:`batch` made,
        if the message is published in one."""

    def put_fanout(self, exchange: str, message: Payload, routing_key: str) -> Payload | None:
        """The same for a message to all who listen to an exchange."""

    def batch(self, pipeline: Any) -> BatchSide:
        """Ours of a new batch, whose commands go into this pipeline of redis-py's."""

    def size(self, queue: str) -> int:
        """How many messages wait for the queue, wherever they do."""

    def purge(self, queue: str) -> int:
        """Throw away what :meth:`size` counts, and say how many they were."""


class Consuming(Protocol):
    """A channel's side towards its consumer."""

    @property
    def claims(self) -> bool:
        """Whether the channel gets its messages from us, instead of popping them from lists."""

    @property
    def awaiting(self) -> bool:
        """Whether the server owes us a reply on the polled connection."""

    @property
    def is_silent(self) -> bool:
        """Whether the server has owed us that reply for too long."""

    @property
    def held(self) -> int:
        """How many messages of ours this process has, also by way of earlier connections."""

    def start(self, connection: Any, queues: tuple[str, ...], room: int | None) -> None:
        """Ask for up to ``room`` messages of these queues, without waiting; None is without a limit."""

    def read(self, connection: Any) -> Callable[[], None] | None:
        """Take the reply. What is returned hands its messages to the consumer; None: there are none."""

    def flush(self) -> None:
        """Send what need not wait for the next question."""

    def holds(self, tag: str) -> bool:
        """Whether the message with this delivery tag is one of ours."""

    def acknowledge(self, tag: str) -> None:
        """A message of ours shall never be given back, though its task only starts. Any thread may say so."""

    def is_done(self, tag: str) -> None:
        """The task of a message of ours is done; :meth:`settle` follows. Any thread may say so."""

    def settle(self, tag: str) -> None:
        """A message of ours is done."""

    def keep(self, tag: str, message: Message) -> None:
        """A message of ours was handed to the consumer."""

    def give_back(self, tag: str) -> None:
        """A message of ours was rejected, to be delivered again."""

    def refuse(self, tag: str, reason: str, callers_know: bool) -> None:
        """Set a message aside if it is one of ours: nobody can run it."""


class RedisChannel(Protocol):
    """What our sides use of kombu's channel."""

    #: What is raised where the connection is at fault, not what was sent over it.
    connection_errors: tuple[type[Exception], ...]
    switchyard_namespace: str
    global_keyprefix: str
    sep: str
    priority_steps: Sequence[int]
    queue_order_strategy: str

    @property
    def pool(self) -> ConnectionPool:
        """redis-py's pool for everything but polling."""

    @property
    def polled(self) -> Any:
        """The connection on which a reply is due, None if none is."""

    def list_name(self, queue: str, step: int) -> str:
        """kombu's list for messages of this queue and priority, without the global prefix."""

    def step_of(self, message: Payload) -> int:
        """The priority step of a message."""

    def expires(self, queue: str) -> bool:
        """Whether the queue was declared with ``x-expires``."""

    def put_stock(self, queue: str, message: Payload) -> None:
        """Put a message as kombu does."""

    def put_fanout_stock(self, exchange: str, message: Payload, routing_key: str) -> None:
        """Publish a message as kombu does."""

    def consumes(self, queue: str) -> bool:
        """Whether somebody on this connection wants messages of the queue."""

    def deliver(self, payload: Payload, queue: str) -> None:
        """Hand a message to the consumer; the queue is then the last in turn. Raises whatever comes of it."""

    def forget(self, tag: str) -> None:
        """Nobody has the message with this tag any more: there is room for another one."""
