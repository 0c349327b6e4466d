"""What a forked child must not have of its parent: locks that are held, and values of that process alone."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar
from weakref import WeakSet

T = TypeVar("T")

_locks: WeakSet[threading.Lock] = WeakSet()


def free_after_fork() -> threading.Lock:
    """A new lock that a forked child finds free, whichever thread held it in the parent.

    What it guards must be good enough to go on with at any moment.
    """
    lock = threading.Lock()
    _locks.add(lock)
    return lock


@dataclass(frozen=True, slots=True)
class _Made(Generic[T]):
    pid: int
    value: T
    parents: _Made[T] | None


class PerProcess(Generic[T]):
    """A value that every process has for itself, such as threads and connections, which no fork may share.

    ``make`` makes it when a process first asks; what that raises is raised, and the next one who asks tries
    again. For any threads, but ``make`` must not ask for the value that it makes. In a child the parent's
    value is kept, though never used: its end might wait for locks that the parent's threads hold.
    """

    # A process is told by its id, not by a hook: servers that fork behind Python's back (uWSGI) run no hooks.

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._making = free_after_fork()
        self._made: _Made[T] | None = None

    def get(self) -> T:
        """This process's value."""
        made = self._made
        if made is None or made.pid != os.getpid():
            made = self._made_here()
        return made.value

    def set(self, value: T) -> None:
        """Use this value in this process from now on."""
        self._made = _Made(os.getpid(), value, self._parents())

    def take(self) -> T | None:
        """Give this process's value away, or None if there is none; ``get`` makes another one."""
        with self._making:
            made, self._made = self._made, self._parents()
        return made.value if made is not None and made.pid == os.getpid() else None

    def _made_here(self) -> _Made[T]:
        with self._making:
            made = self._made
            if made is None or made.pid != os.getpid():
                self._made = made = _Made(os.getpid(), self._make(), self._parents())
            return made

    def _parents(self) -> _Made[T] | None:
        made = self._made
        return made.parents if made is not None and made.pid == os.getpid() else made


def _free() -> None:
    for lock in _locks:
        if lock.locked():  # by a thread that the child does not have
            lock.release()


os.register_at_fork(after_in_child=_free)
