"""billiard, whose processes Celery's prefork pool is made of; nothing here imports it."""

from __future__ import annotations

from multiprocessing import current_process


def child_index() -> int | None:
    """Which of its pool's children this process is, from 0; None if it is none.

    A child that replaces a dead one has its index. billiard sets it on the process, which it makes the
    current one of multiprocessing too.
    """
    index: int | None = getattr(current_process(), "index", None)
    return index
