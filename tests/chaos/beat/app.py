"""The application whose leader is killed: entries that are due about every 5 s, each at its own time."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery

import switchyard

#: Mean seconds between two ticks of an entry, and how far the shortest and the longest are from it.
EVERY, SPREAD = 5.0, 1.0


def entries(count: int) -> dict[str, dict[str, Any]]:
    """``count`` entries that drift apart, so that some are due at any time."""
    every = (EVERY + SPREAD * (2 * number / count - 1) for number in range(count))
    return {
        f"entry-{number}": {"task": "tick", "schedule": seconds, "args": (number,)}
        for number, seconds in enumerate(every)
    }


def make_app(broker: str, count: int) -> Celery:
    """The application on this broker, with so many entries."""
    app = Celery("beat", broker=broker, set_as_current=False)
    switchyard.install(app)
    app.conf.beat_schedule = entries(count)

    @app.task(name="tick", ignore_result=True, shared=False)
    def tick(number: int) -> None:
        return None

    return app


if "TEST_BROKER" in os.environ:
    app = make_app(os.environ["TEST_BROKER"], int(os.environ["TEST_ENTRIES"]))
