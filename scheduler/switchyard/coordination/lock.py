"""``switchyard.lock``: one holder at a time, with a token that tells a late holder from the present one."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from types import TracebackType

from switchyard.coordination import renewal
from switchyard.coordination.hold import Attempt, Hold
from switchyard.coordination.servers import voters
from switchyard.coordination.vote import Outcome
from switchyard.errors import ConfigurationError, LockLost, LockNotAcquired, NoQuorum
from switchyard.spans import Span, seconds

logger = logging.getLogger(__name__)

#: Shortest ttl in seconds: a round trip and a renewal must fit in several times.
SHORTEST_TTL = 0.1


class Lock:
    """A lock as :func:`lock` makes it. One thread at a time may hold it; it can be used again."""

    def __init__(
        self,
        name: str,
        ttl: Span,
        wait: Span | None,
        servers: Sequence[str] | None,
        on_lost: Callable[[Lock], None] | None = None,
    ) -> None:
        self.name = name
        self.ttl = checked_ttl(ttl)
        self.wait = 0.0 if wait is None else seconds(wait, "wait")
        self._servers = servers
        self._on_lost = on_lost
        self._hold: Hold | None = None
        self._token: int | None = None

    @property
    def token(self) -> int:
        """Greater than that of every holder before; the last one once given back. Raises LockNotAcquired."""
        if self._token is None:
            raise LockNotAcquired(f"lock {self.name!r} was never held, so it has no token; acquire it first")
        return self._token

    @property
    def lost(self) -> bool:
        """Whether somebody else may hold it by now although it was not given back."""
        return self._hold is not None and not self._hold.valid

    def acquire(self) -> None:
        """Get it within ``wait`` seconds. Raises LockNotAcquired, NoQuorum, ConfigurationError."""
        if self._hold is not None:
            raise LockNotAcquired(f"lock {self.name!r} is held by this very object; make one for each use")
        hold = Hold(voters(self._servers, self.ttl), f"lock:{self.name}", self.ttl)
        attempt = hold.acquire(self.wait)
        if attempt.outcome is not Outcome.WON:
            raise self._refusal(attempt)
        self._hold, self._token = hold, hold.token
        renewal.of_this_process().keep(hold, self._tell_lost)

    def renew(self) -> None:
        """Prolong it now, beside the renewals in the background. Raises LockLost, NoQuorum."""
        renewed = self._held().renew()
        if renewed is None:
            raise NoQuorum(f"lock {self.name!r} was not renewed: too few servers answered; try again")
        if not renewed:
            raise self._loss()

    def release(self) -> None:
        """Give it back. Raises LockLost if it was lost before; then nothing of the next holder's changes."""
        hold = self._held()
        renewal.of_this_process().drop(hold)
        valid = hold.valid
        released = hold.release()
        self._hold = None
        if not valid or released is False:
            raise self._loss()
        if released is None:
            logger.warning(
                "Lock %r could not be given back: no answer. It is free in %s s.", self.name, self.ttl
            )

    def __enter__(self) -> Lock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._hold is None:
            return  # given back inside the block
        try:
            self.release()
        except LockLost as loss:
            if kind is not None:
                logger.warning("%s", loss)  # what failed in the block matters more
                return
            raise

    def _held(self) -> Hold:
        if self._hold is None:
            raise LockLost(f"lock {self.name!r} is not held; acquire it first")
        return self._hold

    def _tell_lost(self) -> None:
        logger.warning("%s", self._loss())
        if self._on_lost is not None:
            try:
                self._on_lost(self)
            except Exception:
                logger.exception("on_lost of lock %r failed.", self.name)

    def _loss(self) -> LockLost:
        return LockLost(
            f"lock {self.name!r} was lost: its ttl of {self.ttl:g} s ran out without a renewal, so that "
            "somebody else may have held it; check the token where you write, or choose a longer ttl"
        )

    def _refusal(self, attempt: Attempt) -> LockNotAcquired | NoQuorum:
        if attempt.outcome is Outcome.HELD:
            tried = f"for all of the {self.wait:g} s that we waited" if self.wait else "and we did not wait"
            return LockNotAcquired(
                f"lock {self.name!r} is held by another, {tried}; wait longer, or try again later"
            )
        said = ", ".join(attempt.failures) or "no answer"
        return NoQuorum(
            f"lock {self.name!r} cannot be decided: too few of its servers can vote ({said}); "
            "check that they run and let this machine in"
        )


def lock(
    name: str,
    ttl: Span = 30,
    wait: Span | None = None,
    servers: Sequence[str] | None = None,
    *,
    on_lost: Callable[[Lock], None] | None = None,
) -> Lock:
    """A lock called ``name``, for use with ``with``; all who use the name should use the same ``ttl``.

    ``ttl``: after so many seconds (or a timedelta, as for ``wait``) without a renewal it is free; while it is
    held it is renewed in the background every third of that. ``wait``: seconds to stand in the line for it,
    first come first served; None tries once. ``servers``: None is the broker of the current Celery
    application that uses Switchyard, or of the one that was installed last, or else
    ``SWITCHYARD_BROKER_URL`` (a lock on ``memory://`` is this process's own); a list of redis URLs, each a
    server of its own that fails on its own, decides by vote: a majority must grant, within a deadline for
    each server (a quarter of the ttl, 2 s at most; the first connection to a broker may take three times
    that), and what a minority granted is given back at once. ``on_lost`` is called with the lock, in another
    thread, if it could not be renewed in time; ``lock.lost`` says the same. Leaving the block then raises
    LockLost.

    **What it guarantees.** At most one holder at a time, as long as clocks run alike to 10 % and nobody is
    paused: ``lost`` is True before the servers let somebody else in. Release and renewal never touch
    another's lock. The lock of a holder that died is free after the ttl. A waiter that died is passed over
    within 1.5 s; one that is paused or starved for that long as well, but it has its place again when it
    asks. ``token`` is greater than that of every holder before.

    **What it does not.** A process that is paused (SIGSTOP, swap, a virtual machine that moves) past its ttl
    still believes for a moment, when it wakes, that it holds the lock. One server that loses its last writes
    (a restart without ``appendfsync always``, a failover to a replica that lags) forgets holders; of several,
    one that does has no vote until a ttl has passed, unless all agree, so two are let in only if a majority
    forgets within one ttl. A jump of a server's clock ends locks early or late.

    **The cure** is the token: send it with every write, and let what you write to refuse a lower token than
    the highest it has seen. Tokens grow even where a server forgot, as long as its clock was not set back.

    It raises ConfigurationError (ttl, servers) and, when acquired, LockNotAcquired if others hold it, or
    NoQuorum if too few servers answered. One round trip to acquire and one to release; with several servers
    two and one.
    """
    return Lock(name, ttl, wait, servers, on_lost)


def checked_ttl(ttl: Span) -> float:
    """The ttl in seconds. Raises ConfigurationError if none can keep it."""
    kept = seconds(ttl, "ttl")
    if not SHORTEST_TTL <= kept < math.inf:
        raise ConfigurationError(
            f"a ttl of {ttl!r} s is none that can be kept; give at least {SHORTEST_TTL} s, "
            "and more than the longest pause that a process of yours may take"
        )
    return kept
