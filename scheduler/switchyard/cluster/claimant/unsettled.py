"""The delivery tags of tasks that are done, until their claims are settled."""

from __future__ import annotations

import threading
from collections import deque

from switchyard.cluster.calls import SETTLE_MAX

#: An epoch, and receipts of claims that were made in it.
Batch = tuple[str, list[str]]


def epoch_and_receipt(tag: str) -> tuple[str, str]:
    """The claim that a delivery tag names."""
    epoch, _, receipt = tag.partition(".")
    return epoch, receipt


def tag_of(epoch: str, receipt: str) -> str:
    """The delivery tag of a claim."""
    return f"{epoch}.{receipt}"


class Unsettled:
    """A queue of tags that is emptied in batches. Any thread may add to it, or take a batch."""

    def __init__(self) -> None:
        self._tags: deque[str] = deque()
        self._under_way: list[Batch] = []
        self._taking = threading.Lock()

    @property
    def is_due(self) -> bool:
        """Whether there is another batch to take."""
        return bool(self._tags)

    def __len__(self) -> int:
        """How many are not known to be settled, those of batches that were taken too."""
        return len(self._tags) + sum(len(receipts) for _, receipts in self._under_way.copy())

    def tags(self) -> set[str]:
        """Those that are not known to be settled, whoever may have taken them. Any thread may ask."""
        with self._taking:
            taken = [tag_of(epoch, receipt) for epoch, receipts in self._under_way for receipt in receipts]
            return {*taken, *self._tags.copy()}

    def add(self, tag: str) -> None:
        """One more task is done."""
        self._tags.append(tag)

    def next_batch(self) -> Batch | None:
        """Takes the receipts of one epoch at the head, SETTLE_MAX at most; None if there is none.

        Who takes it says :meth:`done` or :meth:`put_back` of it.
        """
        receipts: list[str] = []
        epoch = ""
        with self._taking:
            while self._tags and len(receipts) < SETTLE_MAX:
                of, receipt = epoch_and_receipt(self._tags[0])
                if receipts and of != epoch:
                    break
                epoch = of
                receipts.append(receipt)
                self._tags.popleft()
            if receipts:
                self._under_way.append((epoch, receipts))
        return (epoch, receipts) if receipts else None

    def done(self, batch: Batch) -> None:
        """These are settled."""
        with self._taking:
            self._under_way.remove(batch)

    def put_back(self, batch: Batch) -> None:
        """Nobody knows whether these were settled: they are the next to be."""
        epoch, receipts = batch
        with self._taking:
            self._under_way.remove(batch)
            self._tags.extendleft(tag_of(epoch, receipt) for receipt in reversed(receipts))
