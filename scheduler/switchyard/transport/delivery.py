"""What a running task may know of its own delivery."""

from __future__ import annotations

from celery import current_task

from switchyard.models import Delivery

#: Header that a claimed message gets on its way to the pool.
DELIVERY = "switchyard_delivery"


def current_delivery() -> Delivery | None:
    """The delivery of the task that runs now; None outside a task, or on a worker that is no node."""
    request = getattr(current_task, "request", None)
    header = getattr(request, DELIVERY, None)
    return Delivery(header["count"], header["token"]) if header else None
