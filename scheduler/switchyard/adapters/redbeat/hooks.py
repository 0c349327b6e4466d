"""The functions of Celery's and RedBeat's schedulers that tracing tools wrap to see each tick.

Sentry's Crons, for one, adds headers to the entry in ``Scheduler.apply_entry`` or
``RedBeatScheduler.apply_async``. A tick passes through one of them, as it does where nobody but Celery sends.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from celery.beat import SchedulingError
from redbeat import RedBeatScheduler, RedBeatSchedulerEntry


class HookedScheduler(RedBeatScheduler):
    """Keeps no schedule, and sends what it is told to."""

    def __init__(self, app: Any) -> None:
        super().__init__(app, lazy=True)
        self._failure: Exception | None = None
        logging.getLogger("celery.beat").addFilter(_QUIET)

    def send(
        self,
        name: str,
        task: str,
        schedule: Any,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        options: dict[str, Any],
        producer: Any,
    ) -> None:
        """Publish one tick. Raises whatever publishing raises."""
        entry = RedBeatSchedulerEntry(name, task, schedule, list(args), dict(kwargs), app=self.app)
        entry.options = options
        self._failure = None
        try:
            if "apply_async" in vars(RedBeatScheduler):
                # Somebody wrapped it: who wraps both means one at a time.
                RedBeatScheduler.apply_async(self, entry, producer=producer, advance=False)
            else:
                self._apply_entry(entry, producer)
        except SchedulingError as exc:
            raise exc.__context__ or exc from None
        if self._failure is not None:
            raise self._failure

    def _apply_entry(self, entry: Any, producer: Any) -> None:
        _QUIET.on = True
        try:
            self.apply_entry(entry, producer=producer)
        finally:
            _QUIET.on = False

    def apply_async(self, entry: Any, producer: Any = None, advance: bool = True, **kwargs: Any) -> Any:
        """Celery's own; ``apply_entry`` would only log what it raises."""
        try:
            return super().apply_async(entry, producer=producer, advance=advance, **kwargs)
        except SchedulingError as exc:
            self._failure = exc.__context__ if isinstance(exc.__context__, Exception) else exc
            raise


class _Quiet(logging.Filter):
    """Keeps Celery from saying that a task is sent when its message is only made; we say so later."""

    on = False

    def filter(self, record: logging.LogRecord) -> bool:
        return not self.on


_QUIET = _Quiet()
