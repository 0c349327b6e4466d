"""Grants of one process, for an application whose broker is its own memory: all who share that are here."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from switchyard.coordination.clock import now
from switchyard.coordination.vote import Ballot
from switchyard.coordination.voter import KEEP_PLACE_MS


@dataclass(frozen=True, slots=True)
class _Grant:
    owner: str
    token: int
    until: float


class InProcess:
    """What :class:`switchyard.coordination.voter.Voter` does on a server, in memory. Threads may share it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._grants: dict[str, _Grant] = {}
        #: By subject: who stands in line, in that order, and when (by our clock) a place is given up.
        self._lines: dict[str, dict[str, float]] = {}
        self._number = 0

    def grant(self, subject: str, owner: str, ttl_ms: int, place: int, in_line: bool) -> Ballot:
        """Ask for it; ``in_line`` joins the line if it is not to be had. There are no places elsewhere."""
        with self._changed:
            held, line = self._held(subject), self._line(subject, owner)
            if held is None and next(iter(line), owner) == owner:
                line.pop(owner, None)
                held = _Grant(owner, self._next_number(), 0)
            if held is not None and held.owner == owner:
                self._grants[subject] = _Grant(owner, held.token, now() + ttl_ms / 1000)
                return Ballot(True, held.token)
            if in_line:
                line[owner] = now() + KEEP_PLACE_MS / 1000
            return Ballot(False, int(in_line), left=held.until - now() if held is not None else 0.0)

    def renew(self, subject: str, owner: str, ttl_ms: int, token: int) -> bool:
        """Prolong a grant; False if it is not the owner's, or not any more."""
        with self._changed:
            held = self._held(subject)
            if held is None or held.owner != owner:
                return False
            self._grants[subject] = _Grant(owner, token, now() + ttl_ms / 1000)
            return True

    def release(self, subject: str, owner: str, place: int = 0) -> bool:
        """Give the grant back, and the place in the line; False if none was held."""
        with self._changed:
            held = self._held(subject)
            is_held = held is not None and held.owner == owner
            if is_held:
                del self._grants[subject]
            if not place:
                self._line(subject, owner).pop(owner, None)
            self._changed.notify_all()
            return is_held

    def record_event(self, kind: str, node: str) -> bool:
        """There is no cluster, so there is no log of it."""
        return True

    def listen(self, owner: str, seconds: float) -> None:
        """Wait until something was given back, or so many seconds."""
        with self._changed:
            self._changed.wait(seconds)

    def _held(self, subject: str) -> _Grant | None:
        held = self._grants.get(subject)
        return held if held is not None and held.until > now() else None

    def _line(self, subject: str, owner: str) -> dict[str, float]:
        """Those who still stand in line; ``owner``, who asks now, keeps its place however late it is."""
        kept = {one: at for one, at in self._lines.get(subject, {}).items() if at > now() or one == owner}
        self._lines[subject] = kept
        return kept

    def _next_number(self) -> int:
        """Grows from process to process too, as on a server: it is never behind the clock, in us."""
        self._number = max(self._number + 1, time.time_ns() // 1000)
        return self._number
