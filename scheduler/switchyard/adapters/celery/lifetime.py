"""When a worker's event loop runs, and since when the worker is about to end. Versions: Celery 5.4 to 5.7.

Celery says that it stops only after its handler of the signal has ended, and lets all who ask for it take
their time in there: ``worker_soft_shutdown_timeout``, and whoever listens to ``worker_shutting_down``. The
event loop stands still meanwhile.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from celery.exceptions import WorkerShutdown, WorkerTerminate
from celery.worker import state as worker_state

from switchyard.adapters.celery.consumer import Consumer

#: The signals that Celery ends for. One that this system does not have is left out.
_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGQUIT") if hasattr(signal, name)]


class Lifetime:
    """What a worker is about. ``begins`` is called when its loop does, ``told`` when it is told to end.

    ``told`` runs in a signal handler: it may take no lock.
    """

    def __init__(self, begins: Callable[[], None], told: Callable[[], None]) -> None:
        self.loops = False
        #: What ends the worker, if that is an error.
        self.error: BaseException | None = None
        self._was_told = False
        self._begins = begins
        self._told = told

    @property
    def ends(self) -> bool:
        """Whether this worker process was told to stop, in whatever way."""
        stopping = worker_state.should_stop is not None or worker_state.should_terminate is not None
        return self._was_told or stopping

    def watch(self, consumer: Consumer) -> None:
        """Take notice from now on. To be called before each start of the loop."""
        if not isinstance(consumer.loop, _Loop):
            consumer.loop = _Loop(self, consumer.loop)
        if threading.current_thread() is not threading.main_thread():
            return  # a worker inside another process: Celery handles no signals there
        for number in _SIGNALS:
            handler = signal.getsignal(number)
            if getattr(handler, "__module__", "") == "celery.apps.worker":
                signal.signal(number, _Handler(self, handler))

    def watch_errors(self, consumer: Consumer) -> None:
        """Take notice of what comes out of the consumer, and so ends the worker, from its start on."""
        consumer.start = partial(self._start, consumer, consumer.start)

    def _start(self, consumer: Consumer, celerys: Callable[[], Any]) -> Any:
        try:
            return celerys()
        except (WorkerShutdown, WorkerTerminate, *consumer.connection_errors):
            raise
        except BaseException as exc:
            self.error = exc
            raise

    def is_told(self) -> None:
        """The signal has come, and Celery's own handler has not run yet."""
        self._was_told = True
        self._told()

    def begin(self) -> None:
        """The loop is about to run."""
        self._begins()
        self.loops = True


class _Loop:
    """Celery's event loop: it returns when the consumer closes, and raises when the connection is lost."""

    def __init__(self, lifetime: Lifetime, celerys: Callable[..., Any]) -> None:
        self._lifetime = lifetime
        self._celerys = celerys

    def __call__(self, *args: Any, **options: Any) -> Any:
        self._lifetime.begin()
        try:
            return self._celerys(*args, **options)
        finally:
            self._lifetime.loops = False


class _Handler:
    """Celery's handler of a signal. At the first one it puts others in this place, which need no notice."""

    def __init__(self, lifetime: Lifetime, celerys: Any) -> None:
        self._lifetime = lifetime
        self._celerys = celerys

    def __call__(self, *args: Any) -> Any:
        self._lifetime.is_told()
        return self._celerys(*args)
