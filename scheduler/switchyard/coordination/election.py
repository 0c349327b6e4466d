"""``switchyard.Election``: of all candidates at most one leads, in terms whose numbers grow."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Sequence
from types import TracebackType

from switchyard.coordination.candidacy import Candidacy
from switchyard.coordination.lock import checked_ttl
from switchyard.coordination.servers import voters
from switchyard.forking import PerProcess
from switchyard.spans import Span


class Election:
    """A candidacy for the leadership called ``name``; whoever uses the name must use the same ``ttl``.

    Between :meth:`start` and :meth:`stop`, or inside ``with``, it runs in a thread of its own. ``on_gain``
    and ``on_loss`` are called with the term, in that thread, in turns: gain, loss, gain. They should be
    quick: while one runs, the leadership is renewed, but nothing else is told. What they raise is logged.

    A leader renews every third of the ttl (seconds). One that cannot, steps down by its own clock before it
    ends on the servers: ``is_leader`` is False from that instant, and ``on_loss`` is called in what is
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
        ttl: Span = 10,
        servers: Sequence[str] | None = None,
        on_gain: Callable[[int], None] | None = None,
        on_loss: Callable[[int], None] | None = None,
    ) -> None:
        self.name = name
        self.ttl = checked_ttl(ttl)
        self._servers = servers
        self._on_gain = on_gain
        self._on_loss = on_loss
        self._candidacy: PerProcess[Candidacy | None] = PerProcess(lambda: None)

    @property
    def is_leader(self) -> bool:
        """Whether this process leads now, by its own clock. No round trip."""
        return self.term is not None

    @property
    def term(self) -> int | None:
        """The number, greater than all before, of the term in which this process leads; None if not."""
        candidacy = self._candidacy.get()
        return None if candidacy is None else candidacy.term

    def start(self) -> None:
        """Stand for election. Raises ConfigurationError."""
        if self._candidacy.get() is not None:
            return
        chosen = voters(self._servers, self.ttl)
        candidacy = Candidacy(self.name, self.ttl, chosen, self._on_gain, self._on_loss)
        self._candidacy.set(candidacy)
        candidacy.start()
        atexit.register(self.stop)

    def stop(self) -> None:
        """Resign if this process leads, and stand no more; returns when that is done.

        A callback may call it, and gets it back at once.
        """
        candidacy = self._candidacy.get()
        if candidacy is None:
            return
        atexit.unregister(self.stop)
        if candidacy.stop():
            self._candidacy.take()

    def __enter__(self) -> Election:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
