"""kombu's poller of Redis connections, which sends before it waits and can be woken from a wait."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any

from kombu.transport.redis import MultiChannelPoller
from kombu.utils.eventio import READ

from switchyard.adapters.kombu_redis.features import GET_BEGINS_WITH_POLL_START, RESTS_WITHOUT_ROOM


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
        if not GET_BEGINS_WITH_POLL_START:
            self.on_poll_start()
        return super().get(callback, timeout)

    def on_readable(self, fileno: int) -> Any:
        """Take what is there. A node does so without room, too, since it asks only for what it has room for.

        It is a broadcast, or the end of the connection. kombu would leave it there and look again at once.
        """
        channel, kind = self._fd_to_chan.get(fileno, (None, ""))
        if channel is None:
            return None
        rests = kind == "BRPOP" and RESTS_WITHOUT_ROOM
        if rests or not channel.consuming.claims or channel.qos.can_consume():
            return super().on_readable(fileno)
        return channel.handlers[kind]()

    def handle_event(self, fileno: int, event: int) -> Any:
        """Act on one readable connection."""
        if self._woken is not None and fileno == self._woken.fileno():
            self._woken.recv(4096)
            return None
        # What is closed meanwhile kombu takes for an error before 5.7.
        return super().handle_event(fileno, event) if fileno in self._fd_to_chan else None

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
