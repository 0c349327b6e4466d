"""``switchyard beat``: a process that stands for election, and sends periodic tasks while it leads."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Any

from celery.beat import Scheduler
from celery.signals import beat_init

from switchyard.adapters.redbeat.store import layout_of, leave_the_lock
from switchyard.beat.clock import ServerClock
from switchyard.beat.drafting import Sender
from switchyard.beat.garbage import Garbage
from switchyard.beat.leader import CONNECTION_ERRORS, Leader
from switchyard.beat.leadership import announce
from switchyard.beat.storage import Storage
from switchyard.cluster.state import State
from switchyard.coordination.election import Election

#: After this many seconds of silence a leader is replaced: with what the next one has to catch up on, the
#: next tick is less than 10 s late.
TTL = 5.0
#: Between two sweeps, which find entries that are new or changed, in seconds.
SWEEP_EVERY = 1.0
#: Before the next try when the broker or the storage is away, in seconds.
_AGAIN = 1.0

_log = logging.getLogger(__name__)


def election_name(app: Any) -> str:
    """Of what the processes of an application elect a leader: of the storage that they share."""
    return f"beat:{layout_of(app).prefix}"


class Beat:
    """One candidate. ``ttl`` and ``sweep_every`` are in seconds; all candidates must use the same ttl."""

    def __init__(self, app: Any, state: State, ttl: float = TTL, sweep_every: float = SWEEP_EVERY) -> None:
        self._app = app
        self._state = state
        self._sweep_every = sweep_every
        self._clock = ServerClock(state.client)
        self._storage = Storage.open(app, state.client)
        self._sender = Sender(app)
        self._wake = threading.Event()
        self._stopping = False
        self._installed = False
        self.election = Election(election_name(app), ttl, on_gain=self._gained, on_loss=self._lost)

    def install(self) -> None:
        """Take the application's ``beat_schedule`` over into the storage. Raises ConfigurationError."""
        self._storage.install(schedule_of(self._app), self._clock.now())
        self._installed = True

    def run(self) -> None:
        """Stand for election and lead when elected, until :meth:`stop`; then resign at once."""
        # Ours is the election.
        leave_the_lock()
        beat_init.send(sender=self)
        _log.info("Stands for election; switchyard beat --list says who leads.")
        with self.election:
            garbage = Garbage()
            leader: Leader | None = None
            led: int | None = None
            while not self._stopping:
                garbage.turn()
                term = self.election.term
                if term is None:
                    self._wait(_AGAIN)
                    continue
                try:
                    if leader is None or term != led:
                        leader, led = self._new_leader(), term
                    self._wait(leader.turn())
                except CONNECTION_ERRORS as exc:
                    _log.warning("Periodic tasks pause: %s; trying again in %g s.", exc, _AGAIN)
                    leader = None
                    self._wait(_AGAIN)
            self._finish(leader)
        self._sender.close()

    def stop(self) -> None:
        """Let :meth:`run` end. A signal handler may call it."""
        self._stopping = True
        self._wake.set()

    def _new_leader(self) -> Leader:
        if self._installed and self._storage.is_empty() and (entries := schedule_of(self._app)):
            _log.warning("The storage of periodic entries came back empty; beat_schedule is put there again.")
            self._storage.install(entries, self._clock.now())
        return Leader(
            self._storage, self._sender, self._clock, lambda: self.election.is_leader, self._sweep_every
        )

    def _finish(self, leader: Leader | None) -> None:
        if leader is not None and self.election.is_leader:
            try:
                leader.finish()
            except CONNECTION_ERRORS as exc:
                _log.warning("What was sent last is not recorded: %s; the next leader finds out.", exc)

    def _wait(self, seconds: float) -> None:
        if seconds > 0:
            self._wake.wait(seconds)
            self._wake.clear()

    def _gained(self, term: int) -> None:
        self._wake.set()
        announce(self._state, term)

    def _lost(self, _term: int) -> None:
        self._wake.set()


def schedule_of(app: Any) -> Mapping[str, Mapping[str, Any]]:
    """The application's ``beat_schedule``, and what Celery adds to it."""
    celerys = Scheduler(app, lazy=True)
    celerys.install_default_entries(app.conf.beat_schedule)
    added = {
        name: {"task": entry.task, "schedule": entry.schedule, "options": entry.options}
        for name, entry in celerys.schedule.items()
    }
    return {**added, **app.conf.beat_schedule}
