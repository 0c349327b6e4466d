"""``switchyard.Election``: of all candidates at most one leads, in terms whose numbers grow."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Callable, Sequence
from types import TracebackType

from switchyard.coordination import renewal
from switchyard.coordination.lease import Attempt, Lease
from switchyard.coordination.lock import checked_ttl
from switchyard.coordination.servers import voters
from switchyard.coordination.vote import Outcome
from switchyard.coordination.voters import Voters
from switchyard.errors import SwitchyardError

logger = logging.getLogger(__name__)


class Election:
    """A candidacy for the leadership called ``name``; whoever uses the name must use the same ``ttl``.

    Between :meth:`start` and :meth:`stop`, or inside ``with``, it runs in a thread of its own. ``on_gain``
    and ``on_loss`` are called with the term, in that thread, in turns: gain, loss, gain. They should be
    quick: while one runs, the lease is renewed, but nothing else is told. What they raise is logged.

    A leader renews every third of the ttl (seconds). One that cannot, steps down by its own clock before its
    lease ends on the servers: ``is_leader`` is False from that instant, and ``on_loss`` is called in what is
    left, a tenth of the ttl. So two lead at once only if a process is paused: it may act once more when it
    wakes, before it looks at its clock. Send the ``term`` with what you write, and refuse a lower one there.
    Stopping, or a normal end of the process, calls ``on_loss``, then resigns: a candidate that waits leads at
    once. After the death of a leader another leads within the ttl and a second.

    A child that is forked has no part in it: there it leads nothing, and may be started anew.
    ``servers`` is as for :func:`switchyard.lock`.
    """

    def __init__(
        self,
        name: str,
        ttl: float = 10,
        servers: Sequence[str] | None = None,
        on_gain: Callable[[int], None] | None = None,
        on_loss: Callable[[int], None] | None = None,
    ) -> None:
        self.name = name
        self.ttl = checked_ttl(ttl)
        self._servers = servers
        self._on_gain = on_gain
        self._on_loss = on_loss
        self._lease: Lease | None = None
        self._over = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._pid = 0

    @property
    def is_leader(self) -> bool:
        """Whether this process leads now, by its own clock. No round trip."""
        return self.term is not None

    @property
    def term(self) -> int | None:
        """The number, greater than all before, of the term in which this process leads; None if not."""
        lease = self._lease
        return lease.token if lease is not None and lease.valid and self._is_ours() else None

    def start(self) -> None:
        """Stand for election. Raises ConfigurationError."""
        if self._thread is not None and self._is_ours():
            return
        chosen = voters(self._servers, self.ttl)
        self._over, self._stopping, self._lease = threading.Event(), threading.Event(), None
        self._pid = os.getpid()
        self._thread = threading.Thread(
            target=self._stand, args=(chosen,), name=f"switchyard-election-{self.name}", daemon=True
        )
        self._thread.start()
        atexit.register(self.stop)

    def stop(self) -> None:
        """Resign if this process leads, and stand no more; returns when that is done.

        A callback may call it, and gets it back at once.
        """
        if self._thread is None or not self._is_ours():
            return
        atexit.unregister(self.stop)
        self._stopping.set()
        self._over.set()
        if self._thread is not threading.current_thread():
            self._thread.join()
            self._thread = None

    def __enter__(self) -> Election:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _is_ours(self) -> bool:
        return self._pid == os.getpid()

    def _stand(self, chosen: Voters) -> None:
        try:
            self._stand_until_stopped(chosen)
        except SwitchyardError as exc:
            logger.error("Nobody here stands for election %r any more: %s", self.name, exc)

    def _stand_until_stopped(self, chosen: Voters) -> None:
        decided = True
        while not self._stopping.is_set():
            lease = Lease(chosen, f"election:{self.name}", self.ttl)
            attempt = lease.acquire(self.ttl, self._stopping.is_set)
            decided = self._tell_whether_decided(attempt, decided)
            if attempt.outcome is Outcome.WON:
                self._lead(lease)

    def _tell_whether_decided(self, attempt: Attempt, before: bool) -> bool:
        decided = attempt.outcome in (Outcome.WON, Outcome.HELD)
        if before and not decided and not self._stopping.is_set():
            logger.warning(
                "Election %r cannot be decided: too few of its servers can vote (%s). "
                "Check that they run and let this machine in; it goes on trying.",
                self.name,
                ", ".join(attempt.failures) or "no answer",
            )
        elif decided and not before:
            logger.warning("Election %r can be decided again.", self.name)
        return decided

    def _lead(self, lease: Lease) -> None:
        self._over.clear()
        self._lease = lease
        renewal.of_this_process().keep(lease, self._over.set)
        logger.info("Leads %r in term %d.", self.name, lease.token)
        self._tell(self._on_gain, lease.token)
        if not self._stopping.is_set():
            self._over.wait()
        logger.info("Leads %r no more; term %d is over.", self.name, lease.token)
        self._step_down(lease)

    def _step_down(self, lease: Lease) -> None:
        """Whoever looks sees no leader before the callback, and the callback is done before we resign."""
        self._lease = None
        self._tell(self._on_loss, lease.token)
        renewal.of_this_process().drop(lease)
        lease.release()

    def _tell(self, callback: Callable[[int], None] | None, term: int) -> None:
        if callback is not None:
            try:
                callback(term)
            except Exception:
                logger.exception("A callback of election %r failed in term %d.", self.name, term)
