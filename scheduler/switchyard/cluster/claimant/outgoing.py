"""What a node is to tell the server of its claims, and who tells it: one at a time, whoever comes by."""

from __future__ import annotations

import threading
from collections.abc import Callable

from switchyard.adapters.redis_refusals import RefusedForNow
from switchyard.cluster.claimant.refused import Refused
from switchyard.cluster.claimant.returns import Returns
from switchyard.cluster.claimant.unsettled import Batch, Unsettled


class Outgoing:
    """Claims that are to be settled or given back, or, as their tasks start, never to be given back.

    ``settle`` and ``acknowledge`` tell the server of a batch and take its answer; ``returned`` is called
    after each that was given back.
    """

    def __init__(
        self,
        settle: Callable[[Batch], None],
        acknowledge: Callable[[Batch], None],
        returned: Callable[[], None],
        refused: Refused,
    ) -> None:
        self.unsettled = Unsettled()
        self.unacknowledged = Unsettled()
        self.returns = Returns()
        self._settle = settle
        self._acknowledge = acknowledge
        self._returned = returned
        self._refused = refused
        self._telling = threading.Lock()

    @property
    def is_due(self) -> bool:
        """Whether there is something to tell."""
        return self.unsettled.is_due or self.unacknowledged.is_due or bool(self.returns)

    def __len__(self) -> int:
        """Of how many claims the server may not know it yet."""
        return len(self.unsettled) + len(self.returns)

    def tags(self) -> set[str]:
        """The delivery tags of these claims."""
        return self.unsettled.tags() | self.returns.tags()

    def flush(self) -> None:
        """Tell what is due now, in as few round trips as it takes.

        Any thread or greenlet may call; one at a time tells, also what others come with meanwhile. What can't
        be told, since the connection broke or the server refuses, the next flush tells.
        """
        while self.is_due and self._refused.may_ask and self._telling.acquire(blocking=False):
            try:
                self._tell()
                self._refused.taken()
            except RefusedForNow as exc:
                self._refused.refused(exc)
            finally:
                self._telling.release()

    def _tell(self) -> None:
        self._tell_batches(self.unacknowledged, self._acknowledge)
        while self.returns:
            self.returns.send_next()
            self._returned()
        self._tell_batches(self.unsettled, self._settle)

    @staticmethod
    def _tell_batches(queue: Unsettled, tell: Callable[[Batch], None]) -> None:
        while batch := queue.next_batch():
            try:
                tell(batch)
            except BaseException:
                queue.put_back(batch)
                raise
            queue.done(batch)
