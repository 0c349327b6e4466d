"""The delivery tags of tasks that are done, until their claims are settled."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

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
    """A queue of tags that is emptied in batches. Any thread may add to it."""

    def __init__(self) -> None:
        self._tags: deque[str] = deque()

    def __bool__(self) -> bool:
        return bool(self._tags)

    def __len__(self) -> int:
        return len(self._tags)

    def tags(self) -> set[str]:
        """Those that are there now. Any thread may ask."""
        return set(self._tags.copy())

    def __iter__(self) -> Iterator[str]:
        return iter(self._tags)

    def add(self, tag: str) -> None:
        """One more task is done."""
        self._tags.append(tag)

    def next_batch(self) -> Batch | None:
        """Takes the receipts of one epoch at the head, SETTLE_MAX at most; None if there is none."""
        receipts: list[str] = []
        epoch = ""
        while self._tags and len(receipts) < SETTLE_MAX:
            of, receipt = epoch_and_receipt(self._tags[0])
            if receipts and of != epoch:
                break
            epoch = of
            receipts.append(receipt)
            self._tags.popleft()
        return (epoch, receipts) if receipts else None

    def put_back(self, batch: Batch) -> None:
        """Nobody knows whether these were settled: they are the next to be."""
        epoch, receipts = batch
        self._tags.extendleft(tag_of(epoch, receipt) for receipt in reversed(receipts))
