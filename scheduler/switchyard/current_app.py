"""The application of this process that uses Switchyard, for threads that have no current one.

Celery's current application is a matter of the thread: what was made in the main thread is nobody's current
one in another.
"""

from __future__ import annotations

import weakref
from typing import Any

_apps: list[weakref.ref[Any]] = []


def remember(app: Any) -> None:
    """This application uses Switchyard."""
    _apps[:] = [weakref.ref(app)]


def latest() -> Any:
    """The application that was installed last, None if there is none any more."""
    return _apps[0]() if _apps else None
