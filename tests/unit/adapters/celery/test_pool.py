"""What becomes of a task on a pool without processes, where nobody looks at what its thread raises."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from celery.concurrency.base import apply_target

from switchyard.adapters.celery.pool import report_errors


class Request:
    """A request that fails to tell the start of its task, or the end."""

    def __init__(self, fails_at: str) -> None:
        self._message: Any = SimpleNamespace(is_over=False)
        self.fails_at = fails_at
        self.id = "t"
        self.acknowledged = False
        self.told: list[Any] = []

    def humaninfo(self) -> str:
        """Which task it is."""
        return "t"

    def begins(self, pid: int, at: float) -> None:
        """Its task is about to run."""
        if self.fails_at == "start":
            raise OSError("as asked")

    def ends(self, outcome: Any) -> None:
        """Its task has run."""
        self.told.append(outcome)
        if self.fails_at == "end":
            raise OSError("as asked")


def apply(request: Request, target: Any) -> None:
    """Run a task as a pool does that has no processes."""
    pool = SimpleNamespace(on_apply=apply_target)
    report_errors(pool)
    report_errors(pool)
    pool.on_apply(target, callback=request.ends, accept_callback=request.begins)


@pytest.mark.parametrize("at", ["start", "end"])
def test_a_message_whose_task_nobody_will_hear_of_is_marked(at: str) -> None:
    """Broken if an error out of a pool's thread keeps the claim of its task, and the slot, for good."""
    request = Request(at)
    with pytest.raises(OSError, match="as asked"):
        apply(request, lambda: 1)
    assert request._message.is_over


def test_an_error_of_the_tracer_is_told() -> None:
    """Broken if what Celery's tracer raises is lost with its thread."""
    request = Request("never")

    def target() -> None:
        raise OSError("as asked")

    apply(request, target)
    assert isinstance(request.told[0].exception.exc, OSError)
    assert not request._message.is_over
