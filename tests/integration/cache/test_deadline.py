"""The cache's deadline with servers that let a client in and then take their time."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

import switchyard
from tests.chaos.machines.servers import Server

#: Seconds; far more than a call takes on a busy machine.
DEADLINE = 1.0
#: Replies that each come well within the deadline, and a reply of which each part does.
STREAMS = {
    "whole replies": itertools.repeat(b"+OK\r\n"),
    "one reply in parts": itertools.chain([b"$1000000\r\n"], itertools.repeat(b"x")),
}


@contextmanager
def _slow_server(parts: Iterable[bytes], pause: float) -> Iterator[str]:
    """The URL of a server that says the next part after each pause, whatever it is asked."""
    ended = threading.Event()

    def answer(client: socket.socket) -> None:
        with client, suppress(OSError):
            for part in parts:
                if ended.wait(pause):
                    return
                client.sendall(part)

    def accept() -> None:
        with suppress(OSError):
            while not ended.is_set():
                threads.append(threading.Thread(target=answer, args=(listener.accept()[0],)))
                threads[-1].start()

    listener = socket.create_server(("127.0.0.1", 0))
    threads = [threading.Thread(target=accept)]
    threads[0].start()
    try:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for thread in threads:
            thread.join()


@pytest.mark.timing
@pytest.mark.parametrize("stream", STREAMS)
def test_a_server_that_answers_slowly_does_not_keep_its_caller_past_the_deadline(stream: str) -> None:
    """Broken if each reply of the handshake, or each part of a reply, has a deadline of its own."""
    with (
        _slow_server(STREAMS[stream], DEADLINE / 4) as url,
        closing(switchyard.Cache([url], deadline=DEADLINE)) as cache,
    ):
        began = time.monotonic()
        assert cache.get("key") is None
        assert time.monotonic() - began < 1.5 * DEADLINE
        assert cache.figures.errors > 0


def test_a_server_that_speaks_another_language_is_a_miss() -> None:
    """Broken if a wrong port in the list of servers is an error for every caller."""
    with (
        _slow_server([b"HTTP/1.1 400 Bad Request\r\n"], 0) as url,
        closing(switchyard.Cache([url], deadline=DEADLINE)) as cache,
    ):
        assert cache.get("key") is None
        assert cache.figures.errors > 0


@pytest.mark.timing
def test_servers_that_are_met_paused_share_the_deadline_of_one_call(tmp_path: Path) -> None:
    """Broken if a process that starts during an outage waits for every server, once for every key."""
    servers = [Server(tmp_path / str(number)) for number in range(3)]
    try:
        for server in servers:
            server.start()
            server.pause()
        with closing(switchyard.Cache([server.url for server in servers], deadline=DEADLINE)) as cache:
            began = time.monotonic()
            assert not cache.set_many(dict.fromkeys(map(str, range(20)), 1))
            assert time.monotonic() - began < 1.5 * DEADLINE
    finally:
        for server in servers:
            server.resume()
            server.kill()
