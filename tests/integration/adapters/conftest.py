"""What the tests of this folder share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import kombu
import pytest
from kombu.utils.json import dumps, loads

from switchyard.adapters.kombu_redis import channel as kombu_channel
from switchyard.adapters.kombu_redis.message import Message, Payload
from tests.support.servers import Server


class _Batched:
    """Our side of a batch: a command of our own before kombu's next one."""

    def __init__(self, pipeline: Any) -> None:
        self.pipeline = pipeline
        self.waiting: list[bytes] = []

    def write(self) -> None:
        for message in self.waiting:
            self.pipeline.execute_command("LPUSH", "batched", message)
        self.waiting = []

    def discard(self) -> None:
        self.waiting = []


class _Publishing:
    """Takes what is for queues that begin with ``ours``."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, Payload]] = []
        self.fanned: list[str] = []
        self.purged: list[str] = []

    def put(self, queue: str, message: Payload, batch: _Batched | None) -> Payload | None:
        if not queue.startswith("ours"):
            return message
        self.taken.append((queue, message))
        if batch is not None:
            batch.waiting.append(dumps(message).encode())
        return None

    def put_fanout(self, exchange: str, message: Payload, routing_key: str) -> Payload | None:
        self.fanned.append(exchange)
        return message

    def batch(self, pipeline: Any) -> _Batched:
        return _Batched(pipeline)

    def size(self, queue: str) -> int:
        return len([name for name, _ in self.taken if name == queue])

    def purge(self, queue: str) -> int:
        self.purged.append(queue)
        return 3


class _Consuming:
    """Once it ``claims``, it pops from the list ``claimed``, and keeps what became of each message."""

    def __init__(self, channel: kombu_channel.Hooks) -> None:
        self.channel = channel
        self.claims = False
        self.is_silent = False
        self.awaiting = False
        self.tags: set[str] = set()
        self.kept: dict[str, Message] = {}
        self.starts: list[tuple[tuple[str, ...], int | None]] = []
        self.ended: list[tuple[str, str]] = []
        self.flushes = 0

    @property
    def held(self) -> int:
        return len(self.tags)

    def start(self, connection: Any, queues: tuple[str, ...], room: int | None) -> None:
        self.starts.append((queues, room))
        self.awaiting = True
        connection.send_command("BRPOP", "claimed", 1)

    def read(self, connection: Any) -> Callable[[], None] | None:
        reply = connection.read_response()
        self.awaiting = False
        if not reply:
            return None
        payload = loads(reply[1])
        self.tags.add(payload["properties"]["delivery_tag"])
        return lambda: self.channel.deliver(payload, "work")

    def flush(self) -> None:
        self.flushes += 1

    def holds(self, tag: str) -> bool:
        return tag in self.tags

    def acknowledge(self, tag: str) -> None:
        self.ended.append(("acknowledged", tag))

    def is_done(self, tag: str) -> None:
        self.ended.append(("done", tag))

    def settle(self, tag: str) -> None:
        self.tags.remove(tag)
        self.ended.append(("settled", tag))

    def keep(self, tag: str, message: Message) -> None:
        self.kept[tag] = message

    def give_back(self, tag: str) -> None:
        self.tags.remove(tag)
        self.ended.append(("died" if self.kept[tag].process_died else "given back", tag))

    def refuse(self, tag: str, reason: str, callers_know: bool) -> None:
        self.tags.remove(tag)
        self.ended.append((reason, tag))
        self.channel.forget(tag)


class Channel(kombu_channel.Channel):
    """kombu's channel with these sides."""

    def sides(self) -> tuple[_Publishing, _Consuming]:
        """Simple ones."""
        return _Publishing(), _Consuming(self)


class Transport(kombu_channel.Transport):
    """kombu's transport with this channel."""

    Channel = Channel


@pytest.fixture
def connection(clean_valkey: Server) -> Iterator[kombu.Connection]:
    with kombu.Connection(clean_valkey.url(), transport=Transport) as connection:
        yield connection


@pytest.fixture
def channel(connection: kombu.Connection) -> Any:
    return connection.default_channel


def publish(connection: kombu.Connection, queue: str, body: str = "hello", **options: Any) -> None:
    connection.Producer().publish(body, routing_key=queue, **options)


def consume(channel: Any, prefetch: int = 0) -> list[Any]:
    """Consume from ``work``; the list fills with messages."""
    got: list[Any] = []
    consumer = kombu.Consumer(channel, [kombu.Queue("work")], on_message=got.append)
    if prefetch:
        consumer.qos(prefetch_count=prefetch)
    consumer.consume()
    return got


def claimable(server: Server, body: str = "hello") -> None:
    """A message that the side claims."""
    properties = {"delivery_tag": body, "delivery_info": {"exchange": "", "routing_key": "work"}}
    payload = {"body": body, "content-type": "text/plain", "content-encoding": "utf-8", "headers": {}}
    server.client().lpush("claimed", dumps({**payload, "properties": properties}))


def drain(connection: kombu.Connection, done: Callable[[], Any], seconds: float = 10) -> None:
    """Without an event loop: wait for messages until ``done``."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "not in time"
        try:
            connection.drain_events(timeout=0.2)
        except TimeoutError:
            continue
