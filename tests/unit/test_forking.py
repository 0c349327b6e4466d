"""Locks that a fork finds held, and values that it must not share."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from itertools import count
from typing import TypeVar

import pytest

from switchyard.forking import PerProcess, free_after_fork

T = TypeVar("T")


def _in_a_child(look: Callable[[], T]) -> T:
    """What this comes to in a forked process."""
    context = multiprocessing.get_context("fork")
    seen = context.SimpleQueue()
    child = context.Process(target=lambda: seen.put(look()), daemon=True)
    child.start()
    found: T = seen.get()
    child.join()
    return found


def test_a_child_finds_free_what_its_parent_held() -> None:
    """Broken if a child waits for ever for a thread that only its parent has."""
    lock = free_after_fork()
    with lock:
        assert _in_a_child(lambda: lock.acquire(timeout=10))
        assert lock.locked()


def test_a_child_makes_a_value_of_its_own() -> None:
    """Broken if a child writes to its parent's connections, or makes a new one for every call."""
    value = PerProcess(lambda: [os.getpid()])
    mine = value.get()
    child, same = _in_a_child(lambda: (value.get(), value.get() is value.get()))
    assert child != mine
    assert same
    assert value.get() is mine


def test_a_child_does_not_have_what_was_set_in_its_parent() -> None:
    """Broken if a fork of a lock's holder thinks that it holds the lock as well."""
    value = PerProcess(lambda: False)
    value.set(True)
    assert not _in_a_child(value.get)
    assert value.get()


def test_threads_that_come_first_together_get_the_same() -> None:
    """Broken if two threads open two connections and one of them is lost."""
    numbers = count()
    both = threading.Barrier(2)
    value = PerProcess(lambda: next(numbers))
    seen: list[int] = []

    def look() -> None:
        both.wait(10)
        seen.append(value.get())

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert seen == [0, 0]


def test_what_was_taken_is_made_anew_and_a_child_has_nothing_to_take() -> None:
    """Broken if a closed connection is used on, or a child closes its parent's."""
    value = PerProcess(object)
    assert value.take() is None
    first = value.get()
    assert _in_a_child(lambda: value.take() is None)
    assert value.take() is first
    assert value.take() is None
    assert value.get() is not first


def test_a_child_does_not_end_what_its_parent_made() -> None:
    """Broken if a child hangs in the end of a client whose lock a thread of its parent held at the fork."""
    ended: list[int] = []

    class Client:
        def __init__(self) -> None:
            self.maker = os.getpid()

        def __del__(self) -> None:
            ended.append(self.maker)

    value = PerProcess(Client)
    value.get()

    def child() -> bool:
        value.set(Client())
        value.take()
        value.get()
        return ended == [os.getpid()]

    assert _in_a_child(child)
    assert value.take() is not None
    assert ended == [os.getpid()]


def test_a_value_that_could_not_be_made_is_tried_again() -> None:
    """Broken if one failed connection keeps a process from ever having one."""
    answers: Iterator[str | OSError] = iter([OSError("no"), "yes"])

    def make() -> str:
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    value = PerProcess(make)
    with pytest.raises(OSError, match="no"):
        value.get()
    assert value.get() == "yes"
