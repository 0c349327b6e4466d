"""Locks that a forked child finds free, whoever held them in its parent."""

from __future__ import annotations

import os
import threading
from weakref import WeakSet

_locks: WeakSet[threading.Lock] = WeakSet()


def free_after_fork() -> threading.Lock:
    """A new lock. What it guards must be good enough to go on with at any moment."""
    lock = threading.Lock()
    _locks.add(lock)
    return lock


def _free() -> None:
    for lock in _locks:
        if lock.locked():  # by a thread that the child does not have
            lock.release()


os.register_at_fork(after_in_child=_free)
