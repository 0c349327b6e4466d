"""A candidate in one process: it waits, leads, steps down and waits again, in a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from switchyard.coordination import renewal
from switchyard.coordination.hold import Attempt, Hold
from switchyard.coordination.vote import Outcome
from switchyard.coordination.voters import Voters
from switchyard.errors import SwitchyardError

logger = logging.getLogger(__name__)

#: Called with the term that begins or is over.
Callback = Callable[[int], None]


class Candidacy:
    """Stands for the leadership ``name``, which is held for ``ttl`` seconds at a time, until :meth:`stop`."""

    def __init__(
        self, name: str, ttl: float, chosen: Voters, on_gain: Callback | None, on_loss: Callback | None
    ) -> None:
        self._name = name
        self._ttl = ttl
        self._voters = chosen
        self._on_gain = on_gain
        self._on_loss = on_loss
        self._hold: Hold | None = None
        self._over = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._stand, name=f"switchyard-election-{name}", daemon=True)

    @property
    def term(self) -> int | None:
        """The term in which it leads now, by this process's own clock; None if it does not."""
        hold = self._hold
        return hold.token if hold is not None and hold.valid else None

    def start(self) -> None:
        """Begin to stand."""
        self._thread.start()

    def stop(self) -> bool:
        """Resign and stand no more; whether that is done, which it can't be while a callback asks for it."""
        self._stopping.set()
        self._over.set()
        if self._thread is threading.current_thread():
            return False
        self._thread.join()
        return True

    def _stand(self) -> None:
        try:
            self._stand_until_stopped()
        except SwitchyardError as exc:
            logger.error("Nobody here stands for election %r any more: %s", self._name, exc)

    def _stand_until_stopped(self) -> None:
        decided = True
        while not self._stopping.is_set():
            hold = Hold(self._voters, f"election:{self._name}", self._ttl)
            attempt = hold.acquire(self._ttl, self._stopping.is_set)
            decided = self._tell_whether_decided(attempt, decided)
            if attempt.outcome is Outcome.WON:
                self._lead(hold)

    def _tell_whether_decided(self, attempt: Attempt, before: bool) -> bool:
        decided = attempt.outcome in (Outcome.WON, Outcome.HELD)
        if before and not decided and not self._stopping.is_set():
            logger.warning(
                "Election %r cannot be decided: too few of its servers can vote (%s). "
                "Check that they run and let this machine in; it goes on trying.",
                self._name,
                ", ".join(attempt.failures) or "no answer",
            )
        elif decided and not before:
            logger.warning("Election %r can be decided again.", self._name)
        return decided

    def _lead(self, hold: Hold) -> None:
        self._over.clear()
        self._hold = hold
        renewal.of_this_process().keep(hold, self._over.set)
        logger.info("Leads %r in term %d.", self._name, hold.token)
        self._tell(self._on_gain, hold.token)
        if not self._stopping.is_set():
            self._over.wait()
        logger.info("Leads %r no more; term %d is over.", self._name, hold.token)
        self._step_down(hold)

    def _step_down(self, hold: Hold) -> None:
        """Whoever looks sees no leader before the callback, and the callback is done before we resign."""
        self._hold = None
        self._tell(self._on_loss, hold.token)
        renewal.of_this_process().drop(hold)
        hold.release()

    def _tell(self, callback: Callback | None, term: int) -> None:
        if callback is not None:
            try:
                callback(term)
            except Exception:
                logger.exception("A callback of election %r failed in term %d.", self._name, term)
