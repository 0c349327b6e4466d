"""kombu's message, as it comes from a list."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from kombu.transport import virtual

#: A message as kombu writes it: body, headers, properties.
Payload = dict[str, Any]


class UnreadableMessage(Exception):
    """What was taken from a queue is not what kombu writes."""


class Message(virtual.Message):
    """kombu's message, which says so when its payload is no message at all.

    ``process_died`` says that the pool process which ran its task is dead, ``taken_by`` refers to what Celery
    made of it, and ``begun`` says that its task has started here, whatever became of it. ``is_over`` says
    that telling its task's end failed, so that nobody will settle it; ``is_told``, that Celery is done with
    it, and tells us as soon as its event loop comes to it.
    """

    process_died = False
    taken_by: Callable[[], Any] | None = None
    is_over = False
    is_told = False
    begun = False

    @property
    def is_known(self) -> bool:
        """Whether somebody may yet say that the message is done or not wanted."""
        return self.is_told or self.taken_by is None or (self.taken_by() is not None and not self.is_over)

    def __init__(self, payload: Any, channel: Any = None, **kwargs: Any) -> None:
        try:
            super().__init__(payload, channel=channel, **kwargs)
        except Exception as exc:
            raise UnreadableMessage(f"not a kombu message: {type(exc).__name__}: {exc}") from exc
        if self.body is None:
            # Celery would stop the worker when it tries to show such a message in its log.
            raise UnreadableMessage("not a kombu message: it has no body")

    def starts_acknowledged(self) -> None:
        """Its task starts and shall never run again, whatever becomes of it."""
        self.channel.consuming.acknowledge(self.delivery_tag)

    def flush(self) -> None:
        """Tell the server at once what it does not know yet; what fails is told later."""
        with suppress(Exception):
            self.channel.consuming.flush()

    def done(self) -> None:
        """Its task is, and its acknowledgement on its way, which may wait for the event loop."""
        self.is_told = True
        self.channel.consuming.is_done(self.delivery_tag)

    def refuse(self, reason: str, callers_know: bool = False) -> None:
        """Set it aside, since nobody can run it; a rejection that follows changes nothing."""
        self.channel.consuming.refuse(self.delivery_tag, reason, callers_know)

    @property
    def as_sent(self) -> Payload:
        """The payload that the message was made of."""
        payload: Payload = self._raw
        return payload
