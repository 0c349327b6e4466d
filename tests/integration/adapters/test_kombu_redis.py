"""What we rely on in kombu, in every version of it: it asks our two sides, and does the rest itself.

The sides here are simple ones of our own, over a real server: they say what they were asked.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import kombu
import pytest
from kombu.asynchronous import Hub
from kombu.utils.json import dumps, loads
from switchyard.adapters.kombu_redis import channel as kombu_channel
from switchyard.adapters.kombu_redis import connection as kombu_connection
from switchyard.adapters.kombu_redis.message import Message, Payload, UnreadableMessage

from tests.support.servers import Server
from tests.support.waiting import wait_until

needs_batches = pytest.mark.skipif(
    kombu.VERSION < (5, 7), reason=f"kombu {kombu.__version__} has no Producer.batch: that came with 5.7"
)
needs_expiry = pytest.mark.skipif(
    kombu.VERSION < (5, 7), reason=f"kombu {kombu.__version__} expires no queues on Redis: that came with 5.7"
)


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


# -- publishing -------------------------------------------------------------------------------------------


def test_our_side_is_asked_where_a_message_goes(connection: Any, channel: Any, clean_valkey: Server) -> None:
    """Broken if tasks are not placed, or plain ones do not reach their lists."""
    publish(connection, "ours", priority=4)
    publish(connection, "theirs", priority=4)
    [(queue, message)] = channel.publishing.taken
    assert queue == "ours"
    assert clean_valkey.client().llen(channel.list_name("theirs", channel.step_of(message))) == 1
    assert clean_valkey.client().keys("ours*") == []


def test_our_side_sees_broadcasts(connection: Any, channel: Any) -> None:
    """Broken if what beat drafts for an exchange of all is sent ahead of its time."""
    shout = kombu.Exchange("shout", type="fanout")
    connection.Producer().publish("hello", exchange=shout, declare=[kombu.Queue("ears", shout)])
    assert channel.publishing.fanned == ["shout"]


def test_a_queue_is_as_long_as_our_side_says(connection: Any, channel: Any) -> None:
    """Broken if `celery purge` and `inspect` do not see placed tasks."""
    publish(connection, "ours")
    assert channel.queue_declare("ours", passive=True).message_count == 1
    assert channel.queue_purge("ours") == 3
    assert channel.publishing.purged == ["ours"]


@needs_expiry
def test_a_queue_that_expires_is_known(connection: Any, channel: Any) -> None:
    """Broken if tasks of a queue that expires wait in inboxes, which do not."""
    kombu.Queue("brief", expires=30)(channel).declare()
    assert channel.expires("brief")
    assert not channel.expires("work")


def test_no_queue_expires_that_was_not_declared_so(channel: Any) -> None:
    """Broken if kombu keeps what expires elsewhere now: then nothing is placed, or it fails."""
    assert not channel.expires("work")


@needs_batches
def test_a_batch_takes_our_commands_among_kombus(connection: Any, channel: Any, clean_valkey: Server) -> None:
    """Broken if Producer.batch loses what is placed, mixes up the order or passes its size."""
    client = clean_valkey.client()
    producer = connection.Producer(channel)
    with producer.batch(max_size=3):
        for queue in ("ours", "theirs", "ours"):
            producer.publish(queue, routing_key=queue)
        assert (client.llen("batched"), client.llen("theirs")) == (2, 1), "three fill it"
        producer.publish("ours", routing_key="ours")
        assert client.llen("batched") == 2
    assert client.llen("batched") == 3


def test_one_client_serves_all_commands(channel: Any) -> None:
    """Broken if each command builds a client again, a quarter of what publishing costs."""
    with channel.conn_or_acquire() as first, channel.conn_or_acquire() as second:
        assert first is second
        assert first.connection_pool is channel.pool


# -- consuming --------------------------------------------------------------------------------------------


def test_nothing_is_ours_before_we_claim(connection: Any, channel: Any, clean_valkey: Server) -> None:
    """Broken if Mingle, or a consumer that is no node, loses messages."""
    got = consume(channel)
    publish(connection, "work")
    drain(connection, lambda: got)
    got[0].ack()
    assert channel.consuming.starts == []
    assert clean_valkey.client().exists("unacked", "work") == 0


def test_a_reply_to_kombus_own_question_is_kombus(connection: Any, channel: Any) -> None:
    """Broken if a message is lost that kombu asked for before the channel claims, as Mingle does."""
    got = consume(channel)
    connection.transport.cycle.on_poll_start()
    assert channel.polled is not None
    channel.consuming.claims = True
    publish(connection, "work")
    drain(connection, lambda: got)
    assert got[0].body == b"hello"


def test_without_an_event_loop_messages_come_and_are_settled(
    connection: Any, channel: Any, clean_valkey: Server
) -> None:
    """Broken if a pool of threads or greenlets gets no tasks, or kombu keeps ours in its own hashes."""
    channel.consuming.claims = True
    got = consume(channel, prefetch=5)
    claimable(clean_valkey)
    drain(connection, lambda: got)
    assert channel.consuming.starts[0] == (("work",), 5)
    assert clean_valkey.client().exists("unacked") == 0
    got[0].ack()
    assert channel.consuming.ended == [("settled", "hello")]


def test_with_an_event_loop_messages_come_and_are_settled(
    connection: Any, channel: Any, clean_valkey: Server
) -> None:
    """Broken if the prefork pool gets no tasks, or settlements wait for ever."""
    channel.consuming.claims = True
    got = consume(channel, prefetch=5)
    hub = Hub()
    try:
        connection.register_with_event_loop(hub)
        claimable(clean_valkey)
        loop = hub.create_loop()
        wait_until(lambda: (next(loop), got)[1], "the message is there")
        flushes = channel.consuming.flushes
        got[0].ack()
        assert channel.consuming.ended == [("settled", "hello")]
        wait_until(lambda: (next(loop), channel.consuming.flushes > flushes)[1], "the settlement is sent")
    finally:
        hub.close()


@pytest.mark.parametrize(("died", "said"), [(False, "given back"), (True, "died")])
def test_a_rejection_reaches_our_side(
    connection: Any, channel: Any, clean_valkey: Server, died: bool, said: str
) -> None:
    """Broken if a task that is put back is lost, doubled, or its death is not counted."""
    channel.consuming.claims = True
    got = consume(channel)
    for body in ("again", "never"):
        claimable(clean_valkey, body)
    drain(connection, lambda: len(got) == 2)
    got[0].process_died = died
    got[0].reject(requeue=True)
    got[1].reject()
    assert channel.consuming.ended == [(said, "again"), ("settled", "never")]
    assert clean_valkey.client().exists("work", "unacked") == 0


def test_a_refusal_reaches_our_side_and_a_rejection_after_it_does_not(
    connection: Any, channel: Any, clean_valkey: Server
) -> None:
    """Broken if a task that Celery does not know is thrown away, or fills a slot for ever."""
    channel.consuming.claims = True
    got = consume(channel, prefetch=1)
    claimable(clean_valkey)
    drain(connection, lambda: got)
    assert channel.consuming.kept["hello"] is got[0], "its message is kept past this channel"
    got[0].refuse("no such task")
    got[0].reject()
    assert channel.consuming.ended == [("no such task", "hello")]
    assert channel.qos.can_consume()
    assert clean_valkey.client().keys("*") == []


def test_what_is_held_counts_as_room_taken(connection: Any, channel: Any, clean_valkey: Server) -> None:
    """Broken if a node that reconnects takes more tasks than it has slots for."""
    channel.consuming.claims = True
    channel.consuming.tags = {"from an earlier connection"}
    consume(channel, prefetch=1)
    claimable(clean_valkey)
    connection.transport.cycle.on_poll_start()
    assert channel.consuming.starts == []
    channel.consuming.tags.clear()
    connection.transport.cycle.on_poll_start()
    assert channel.consuming.starts == [(("work",), 1)]


def test_a_settlement_ends_a_wait(connection: Any, channel: Any, clean_valkey: Server) -> None:
    """Broken if a slot that came free stays idle until the consumer has waited to the end."""
    channel.consuming.claims = True
    got = consume(channel, prefetch=1)
    for body in ("first", "second"):
        claimable(clean_valkey, body)
    drain(connection, lambda: got)
    timer = threading.Timer(0.3, got[0].ack)
    timer.start()
    began = time.monotonic()
    connection.drain_events(timeout=30)
    assert got[1].body == b"second"
    assert time.monotonic() - began < 15, "the wait was woken from"
    timer.join()


def test_what_is_ours_outlives_the_channel(connection: Any, channel: Any, clean_valkey: Server) -> None:
    """Broken if a lost connection puts running tasks back, so that they run twice."""
    channel.consuming.claims = True
    got = consume(channel)
    claimable(clean_valkey)
    drain(connection, lambda: got)
    connection.transport.cycle.on_poll_start()
    assert channel.polled is not None, "a reply is due that nobody will read"
    channel.close()
    assert clean_valkey.client().keys("*") == []
    assert channel.consuming.ended == []


def test_a_lost_connection_is_said_and_replaced(connection: Any, channel: Any, clean_valkey: Server) -> None:
    """Broken if a consumer whose connection was cut waits for ever, or spins."""
    channel.consuming.claims = True
    consume(channel)
    connection.transport.cycle.on_poll_start()
    clean_valkey.client().client_kill_filter(_type="normal", skipme=True)
    with pytest.raises(connection.connection_errors):
        drain(connection, lambda: False)
    assert channel.polled is None


def test_a_payload_that_is_no_message_says_so(channel: Any) -> None:
    """Broken if one strange message stops a worker."""
    for payload in ({}, {"body": "x"}, {"properties": {"delivery_tag": "t"}}):
        with pytest.raises(UnreadableMessage, match="not a kombu message"):
            Message(payload, channel=channel)


# -- connections ------------------------------------------------------------------------------------------


class Chosen(kombu_connection.Chooses):
    """Takes the transport above wherever kombu would take its own."""

    @staticmethod
    def choose(stock: Any) -> Any:
        """Ours."""
        return Transport


class Pooled(Chosen, kombu_connection.PooledConnection):
    """As a pool lends it out."""


class Pool(kombu_connection.ConnectionPool):
    """Full of them."""

    pooled = Pooled


class Connection(Chosen, kombu.Connection):
    """On its own."""


def test_a_transport_is_chosen_alone_in_a_pool_and_after_a_failover(clean_valkey: Server) -> None:
    """Broken if tasks go unplaced once a connection comes from a pool, or the first server is down."""
    with Connection(f"redis://127.0.0.1:1/0;{clean_valkey.url()}") as connection:
        assert type(connection.transport) is Transport
        connection.ensure_connection(max_retries=3, interval_start=0, interval_step=0)
        assert connection.connected
        assert type(connection.transport) is Transport
        pool = Pool(Connection(clean_valkey.url()), 2)
        with pool.acquire() as pooled:
            assert type(pooled.transport) is Transport
        pool.force_close_all()
