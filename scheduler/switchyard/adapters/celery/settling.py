"""Acknowledgements that come from a pool's thread. Versions: Celery 5.4 to 5.7.

Before Celery 5.7 and kombu 5.7 they wait until the consumer's own thread has waited for messages to the end,
a second or two, although that thread waits for nothing but the room that they make. With four threads, tasks
of 10 ms each run at seven a second.
"""

from __future__ import annotations

import logging
import socket
import threading
from contextlib import suppress
from typing import Any

from kombu.transport.virtual import Message

from switchyard.adapters.celery.consumer import Consumer

_log = logging.getLogger(__name__)


def settle_promptly(consumer: Consumer) -> None:
    """Let acknowledgements and rejections be done at once. To be called at each start of the consumer."""
    hub = consumer.hub
    if hub is None and not hasattr(consumer, "call_soon_ack"):
        consumer.call_soon = _AtOnce(consumer)  # type: ignore[method-assign]
    elif hub is not None and not hasattr(hub, "_waker"):
        before = getattr(consumer.call_soon, "close", None)
        consumer.call_soon = _Waking(consumer)  # type: ignore[method-assign]
        if before is not None:
            before()


class _AtOnce:
    """Without an event loop: the thread that settles does it, as in Celery from 5.7 on."""

    def __init__(self, consumer: Consumer) -> None:
        self._later = type(consumer).call_soon.__get__(consumer)

    def __call__(self, fun: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(getattr(fun, "__self__", None), Message):
            return self._later(fun, *args, **kwargs)
        try:
            return fun(*args, **kwargs)
        except Exception:
            _log.exception("A message could not be settled; its task runs again when this node is gone.")
            return None


class _Waking:
    """With an event loop: it is woken to settle, as kombu's does by itself from 5.7 on."""

    def __init__(self, consumer: Consumer) -> None:
        self._later = type(consumer).call_soon.__get__(consumer)
        self._loops_thread = threading.get_ident()
        self._reader, self._writer = socket.socketpair()
        for end in (self._reader, self._writer):
            end.setblocking(False)
        consumer.hub.add_reader(self._reader, self._drain)

    def __call__(self, fun: Any, *args: Any, **kwargs: Any) -> Any:
        called = self._later(fun, *args, **kwargs)
        if threading.get_ident() != self._loops_thread:
            # A full socket means that the loop is about to wake, a closed one that there is another loop.
            with suppress(OSError):
                self._writer.send(b"\0")
        return called

    def _drain(self) -> None:
        with suppress(OSError):
            self._reader.recv(4096)

    def close(self) -> None:
        """The loop that it woke has ended."""
        self._reader.close()
        self._writer.close()
