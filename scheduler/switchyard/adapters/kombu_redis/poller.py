"""kombu's poller of Redis connections, which sends before it waits and can be woken from a wait."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any

import kombu
from kombu.transport.redis import MultiChannelPoller
from kombu.utils.eventio import READ

#: Before 5.7, ``get`` starts what channels poll for by itself, without ``on_poll_start``.
_GET_BEGINS_WITH_POLL_START = kombu.VERSION >= (5, 7)


class Poller(MultiChannelPoller):
    """Polls the connections of all channels of one transport."""

    def __init__(self) -> None:
        super().__init__()
        self._woken: socket.socket | None = None
        self._waker: socket.socket | None = None

    def on_poll_start(self) -> None:
        """Ask for messages, which takes settlements along, then send what is left."""
        for channel in self._channels:
            channel.require_answers()
        super().on_poll_start()
        for channel in self._channels:
            channel.consuming.flush()

    def get(self, callback: Any, timeout: float | None = None) -> Any:
        """Wait for the next message, without an event loop."""
        if self._woken is None:
            self._woken, self._waker = socket.socketpair()
            self._waker.setblocking(False)
            self.poller.register(self._woken, READ)
        if not _GET_BEGINS_WITH_POLL_START:
            self.on_poll_start()
        return super().get(callback, timeout)

    def handle_event(self, fileno: int, event: int) -> Any:
        """Act on one readable connection."""
        if self._woken is not None and fileno == self._woken.fileno():
            self._woken.recv(4096)
            return None
        return super().handle_event(fileno, event)

    def wake(self) -> None:
        """End a wait in :meth:`get` early: a slot came free."""
        if self._waker is not None:
            with suppress(BlockingIOError):
                self._waker.send(b"\0")

    def close(self) -> None:
        """Close the poller and its waker."""
        super().close()
        if self._woken is not None and self._waker is not None:
            self.poller.unregister(self._woken)
            self._woken.close()
            self._waker.close()
            self._woken = self._waker = None
