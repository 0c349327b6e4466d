"""Tells the callers of a task that it was given up on, so that nobody waits for ever."""

from __future__ import annotations

from typing import Any

from kombu.utils.json import loads
from switchyard.adapters import celery_worker
from switchyard.errors import TaskGivenUp
from switchyard.models import DeadTask


def fail(app: Any, channel: Any, dead: DeadTask) -> None:
    """Make the task's result a failure, with its chord, errbacks and all, as Celery does for a lost worker.

    Raises what reading the message or reaching the result backend raises.
    """
    payload = loads(dead.message)
    headers = payload.get("headers") or {}
    error = TaskGivenUp(
        f"task {headers.get('task')}[{headers.get('id')}] was given up: {dead.reason} "
        f"({', '.join(dead.nodes)}); see 'switchyard dead list', and requeue it when its cause is mended"
    )
    celery_worker.fail(app, channel, payload, error)
