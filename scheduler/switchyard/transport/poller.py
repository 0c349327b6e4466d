"""kombu's poller of Redis connections, with settlements and a way to end a wait."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any

from kombu.transport.redis import MultiChannelPoller
from kombu.utils.eventio import READ


class Poller(MultiChannelPoller):
    """kombu's poller, which sends what is to be settled before it waits, and can be woken from a wait."""

    def __init__(self) -> None:
        super().__init__()
        self._woken: socket.socket | None = None
        self._waker: socket.socket | None = None

    def on_poll_start(self) -> None:
        """Start claims, which take settlements along, then send the settlements that are left."""
        super().on_poll_start()
        for channel in self._channels:
            channel.flush()

    def get(self, callback: Any, timeout: float | None = None) -> Any:
        """Wait for the next message, without an event loop."""
        if self._woken is None:
            self._woken, self._waker = socket.socketpair()
            self._waker.setblocking(False)
            self.poller.register(self._woken, READ)
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
            self._unregister_from_poll(self._woken)
            self._woken.close()
            self._waker.close()
            self._woken = self._waker = None
