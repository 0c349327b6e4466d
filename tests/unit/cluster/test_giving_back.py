"""What a node's threads or greenlets have done at once, told to the server by one of them at a time."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import pytest

from switchyard.cluster.claimant.claimant import Claimant
from switchyard.cluster.claimant.unsettled import Unsettled, tag_of
from switchyard.cluster.replies.answers import Settlement

THREADS, EACH = 8, 200


class SlowState:
    """Notes what it is told, and lets other threads go on in the middle of it."""

    def __init__(self) -> None:
        self.told: Counter[str] = Counter()
        self.at_once = self.most_at_once = 0
        self._pause = threading.Event()
        self.fails = 0
        self.fenced = False
        self.acknowledged: list[str] = []

    def release(self, name: str, epoch: str, pairs: list[tuple[str, str]], front: bool) -> int:
        """Claims are given back."""
        self._tell([receipt for receipt, _ in pairs])
        return len(pairs)

    def acknowledge(self, name: str, epoch: str, receipts: list[str]) -> bool:
        """Tasks start that shall never run again."""
        if not self.fenced:
            self.acknowledged += receipts
        return not self.fenced

    def settle(self, name: str, epoch: str, receipts: list[str]) -> Settlement:
        """Claims are settled."""
        self._tell(receipts)
        return Settlement(False, len(receipts))

    def _tell(self, receipts: list[str]) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self._pause.wait(0.0001)
        self.at_once -= 1
        if self.fails:
            self.fails -= 1
            raise ConnectionError("as asked")
        self.told.update(receipts)


@pytest.fixture
def state() -> SlowState:
    return SlowState()


@pytest.fixture
def claimant(state: Any) -> Claimant:
    claimant = Claimant(state, "n", 1.0, 5.0, 5)
    claimant.epoch = "1"
    return claimant


def test_each_is_told_once_however_many_come_at_once(claimant: Claimant, state: SlowState) -> None:
    """Broken if an operation is taken off the queue that never ran, or runs twice, or waits for ever."""

    def work(number: int) -> None:
        for at in range(EACH):
            tag = tag_of("1", str(number * EACH + at))
            if at % 2:
                claimant.hold(tag, None, "q")
                claimant.settle(tag)
            else:
                claimant.release([tag])
            claimant.flush()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert state.told == Counter({str(number): 1 for number in range(THREADS * EACH)})
    assert state.most_at_once == 1
    assert not claimant.is_due
    assert claimant.accounted == 0


def test_what_could_not_be_told_is_told_first_the_next_time(claimant: Claimant, state: SlowState) -> None:
    """Broken if a lost connection takes what it was to tell with it."""
    claimant.release(["1.1"])
    claimant.hold("1.2", None, "q")
    claimant.settle("1.2")
    state.fails = 2
    for left in (2, 2):
        with pytest.raises(ConnectionError):
            claimant.flush()
        assert claimant.accounted == left
    claimant.flush()
    assert state.told == Counter({"1": 1, "2": 1})
    assert claimant.accounted == 0


@pytest.mark.parametrize("fenced", [False, True])
def test_what_is_acknowledged_as_it_starts_is_held_until_it_ends_and_settled_once(
    claimant: Claimant, state: SlowState, fenced: bool
) -> None:
    """Broken if a task that runs takes no slot, or if of one that a fenced node had, a copy runs as well."""
    state.fenced = fenced
    claimant.hold("1.1", None, "q")
    claimant.acknowledge("1.1")
    claimant.flush()
    assert state.acknowledged == ([] if fenced else ["1"])
    assert state.told == Counter({"1": int(fenced)})
    assert "1.1" in claimant.held
    claimant.settle("1.1")
    claimant.flush()
    assert state.told == Counter({"1": 1})
    assert claimant.accounted == 0


def test_batches_that_are_taken_at_once_have_nothing_in_common() -> None:
    """Broken if two that look at the same tag take away another one, which is then settled by nobody."""
    unsettled = Unsettled()
    for number in range(20_000):
        unsettled.add(tag_of(str(number // 7), str(number)))
    taken: list[str] = []

    def take() -> None:
        while batch := unsettled.next_batch():
            taken.extend(batch[1])
            unsettled.done(batch)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(map(int, taken)) == list(range(20_000))
    assert len(unsettled) == 0


def test_a_batch_that_is_under_way_is_known() -> None:
    """Broken if a claim that is being settled seems forgotten, and is given back meanwhile."""
    unsettled = Unsettled()
    unsettled.add("1.1")
    batch = unsettled.next_batch()
    assert batch is not None
    assert (len(unsettled), unsettled.tags(), unsettled.is_due) == (1, {"1.1"}, False)
    unsettled.put_back(batch)
    assert (len(unsettled), unsettled.tags(), unsettled.is_due) == (1, {"1.1"}, True)
    assert unsettled.next_batch() == batch
    unsettled.done(batch)
    assert (len(unsettled), unsettled.tags()) == (0, set())
