"""kombu's publish batch, with commands of ours among kombu's. Before kombu 5.7 nobody asks for one."""

from __future__ import annotations

from typing import Any, Protocol

from kombu.transport import redis as kombu_redis

from switchyard.adapters.kombu_redis.features import HAS_BATCHES

_KombuBatch: Any = kombu_redis.PublishBatch if HAS_BATCHES else object


class BatchSide(Protocol):
    """What is to go into the batch's pipeline and is not in it yet."""

    def write(self) -> None:
        """Put it there: something else follows."""

    def discard(self) -> None:
        """Forget it."""


class PublishBatch(_KombuBatch):
    """Buffers what is published, in that order; ``ours`` is our side of it."""

    def __init__(self, channel: Any, max_size: int) -> None:
        super().__init__(channel, max_size)
        self.ours: BatchSide = channel.publishing.batch(self.pipeline)

    def count(self) -> None:
        """One more message is buffered, by our side."""
        self._buffered += 1

    def add(self, name: str, *args: Any) -> None:
        """Buffer a command of kombu's."""
        self.ours.write()
        super().add(name, *args)

    def publish(self, message: Any, **kwargs: Any) -> Any:
        """Route one message and buffer it."""
        result = super().publish(message, **kwargs)
        if self._buffered >= self.max_size:
            self.flush()
        return result

    def flush(self) -> None:
        """Execute what is buffered, in one round trip."""
        self._check_usable()
        self.ours.write()
        super().flush()

    def discard(self) -> None:
        """Forget what is buffered."""
        self.ours.discard()
        super().discard()
