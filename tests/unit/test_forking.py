"""Locks that a fork finds held."""

from __future__ import annotations

import multiprocessing

from switchyard.forking import free_after_fork


def test_a_child_finds_free_what_its_parent_held() -> None:
    """Broken if a child waits for ever for a thread that only its parent has."""
    context = multiprocessing.get_context("fork")
    taken = context.SimpleQueue()
    lock = free_after_fork()
    with lock:
        child = context.Process(target=lambda: taken.put(lock.acquire(timeout=10)), daemon=True)
        child.start()
        assert taken.get()
        child.join()
        assert lock.locked()
