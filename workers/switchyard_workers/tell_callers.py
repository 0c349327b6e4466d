"""Tells the callers of a task that it was given up on, so that nobody waits for ever."""

from __future__ import annotations

from typing import Any

from kombu.utils.json import loads

from switchyard.adapters.celery import consumer as celery_worker
from switchyard.errors import TaskGivenUp
from switchyard.models import DeadTask


def fail(app: Any, channel: Any, dead: DeadTask) -> None:
    """Make the task's result a failure, with its chord, errbacks and all, as Celery does for a lost worker.

    Nobody waits for a message that does not say which task it is. Raises what reaching the backend raises.
    """
    payload = _readable(dead.message)
    headers = payload.get("headers")
    if not isinstance(headers, dict) or not all(
        isinstance(headers.get(name), str) for name in ("task", "id")
    ):
        return
    blamed = f" ({', '.join(dead.nodes)})" if dead.nodes else ""
    error = TaskGivenUp(
        f"task {headers.get('task')}[{headers.get('id')}] was given up: {dead.reason}{blamed}; "
        "see 'switchyard dead list', and requeue it when its cause is mended"
    )
    celery_worker.fail(app, channel, payload, error)


def _readable(message: bytes) -> dict[str, Any]:
    try:
        payload = loads(message)
    except Exception:  # kombu's reader makes more than JSON of what it finds
        return {}
    return payload if isinstance(payload, dict) else {}
