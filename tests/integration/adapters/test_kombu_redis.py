"""What we rely on in kombu, in every version of it: it asks our two sides, and does the rest itself.

The sides here are simple ones of our own, over a real server: they say what they were asked.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import Any

import kombu
import pytest
from kombu.asynchronous import Hub
from kombu.utils.eventio import READ

from switchyard.adapters.kombu_redis.message import Message, UnreadableMessage
from tests.integration.adapters.conftest import (
    claimable,
    consume,
    drain,
    publish,
)
from tests.integration.versions import needs_batches, needs_expiry
from tests.support.servers import Server
from tests.support.waiting import wait_until

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


@pytest.mark.timing
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


def full(connection: Any, channel: Any, server: Server) -> list[Any]:
    """A consumer with room for one message, which it has."""
    channel.consuming.claims = True
    got = consume(channel, prefetch=1)
    claimable(server)
    drain(connection, lambda: got)
    return got


def test_without_room_a_closed_connection_is_noticed(
    connection: Any, channel: Any, clean_valkey: Server
) -> None:
    """Broken if a busy node never reads that its connection is closed, and looks again at once."""
    full(connection, channel, clean_valkey)
    clean_valkey.client().client_kill_filter(_type="normal", skipme=True)
    with pytest.raises((TimeoutError, *connection.connection_errors)):
        _turn(connection, 10)


def test_without_room_a_broadcast_is_taken(connection: Any, channel: Any, clean_valkey: Server) -> None:
    """Broken if a busy node leaves a broadcast where it is, and looks again at once."""
    got = full(connection, channel, clean_valkey)
    shout = kombu.Exchange("shout", type="fanout")
    consumer = kombu.Consumer(channel, [kombu.Queue("ears", shout)], on_message=got.append)
    consumer.consume()
    wait_until(lambda: _listens(connection, clean_valkey), "somebody listens")
    publish(connection, "", exchange=shout)
    drain(connection, lambda: len(got) == 2)
    assert not channel.qos.can_consume()


def _turn(connection: Any, times: int) -> None:
    """Each returns without a word only if there was something to read."""
    for _ in range(times):
        connection.drain_events(timeout=0.1)


def _listens(connection: Any, server: Server) -> bool:
    with suppress(TimeoutError):
        connection.drain_events(timeout=0.1)
    return bool(server.client().pubsub_numpat())


def test_what_is_closed_while_others_are_read_is_left_alone(
    connection: Any, channel: Any, clean_valkey: Server
) -> None:
    """Broken if the worker stops when a connection goes away between a look and the reading."""
    poller = connection.transport.cycle
    assert poller.on_readable(99) is None
    assert poller.handle_event(99, READ) is None


def test_a_payload_that_is_no_message_says_so(channel: Any) -> None:
    """Broken if one strange message stops a worker."""
    for payload in ({}, {"body": "x"}, {"properties": {"delivery_tag": "t"}}):
        with pytest.raises(UnreadableMessage, match="not a kombu message"):
            Message(payload, channel=channel)
