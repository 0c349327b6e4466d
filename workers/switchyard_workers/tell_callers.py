"""Tells the callers of a task that it was given up on, so that nobody waits for ever."""

from __future__ import annotations

from typing import Any

from celery.utils.objects import Bunch
from celery.worker.request import Request
from kombu.transport.virtual import Message
from kombu.utils.json import loads
from switchyard.errors import TaskGivenUp
from switchyard.models import DeadTask


def fail(app: Any, channel: Any, dead: DeadTask) -> None:
    """Make the task's result a failure, with its chord, errbacks and all, as Celery does for a lost worker.

    Raises what reading the message or reaching the result backend raises.
    """
    message = Message(loads(dead.message), channel=channel)
    error = TaskGivenUp(
        f"task {message.headers.get('task')}[{message.headers.get('id')}] was given up: {dead.reason} "
        f"({', '.join(dead.nodes)}); see 'switchyard dead list', and requeue it when its cause is mended"
    )
    task = app.tasks.get(message.headers.get("task"))
    if task is None:
        request = Bunch(name=message.headers.get("task"), chord=None, root_id=None, errbacks=None)
        app.backend.mark_as_failure(message.headers["id"], error, request=request)
        return
    known = Request(message, app=app, task=task, body=message.body, headers=message.headers, decoded=False)
    task.backend.mark_as_failure(known.id, error, request=known._context, store_result=known.store_errors)
