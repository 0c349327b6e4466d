"""Renews what this process holds, in the background, and says when it is lost.

One thread watches all holds, so that a lock that is held for a moment costs no thread of its own. The work
is done in short-lived threads: a server that is slow for one makes no other one late.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from switchyard.coordination.clock import now
from switchyard.coordination.hold import Hold
from switchyard.forking import PerProcess

#: Share of the ttl between two renewals.
_RENEW_SHARE = 1 / 3
#: Share of the ttl after which a renewal that nobody answered is tried again.
_RETRY_SHARE = 1 / 20
#: Longest sleep of the thread that watches, in seconds: then it looks whether anything is left to watch.
_LONGEST_SLEEP = 60.0


@dataclass(slots=True)
class _Kept:
    hold: Hold
    lost: Callable[[], None]
    due: float


class Renewals:
    """The holds that this process keeps."""

    def __init__(self) -> None:
        self._kept: dict[Hold, _Kept] = {}
        self._changed = threading.Condition()
        self._wakes_at: float | None = None

    def keep(self, hold: Hold, lost: Callable[[], None]) -> None:
        """Renew the hold until :meth:`drop`; if it is lost before, call ``lost`` once, in another thread."""
        kept = _Kept(hold, lost, now() + hold.ttl * _RENEW_SHARE)
        with self._changed:
            self._kept[hold] = kept
            if self._wakes_at is None:
                self._wakes_at = now()
                threading.Thread(target=self._watch, name="switchyard-renewal", daemon=True).start()
            self._wake_for(kept.due)

    def drop(self, hold: Hold) -> bool:
        """Do not renew it any more; False if it was lost, or dropped, before."""
        with self._changed:
            return self._kept.pop(hold, None) is not None

    def _wake_for(self, due: float) -> None:
        if self._wakes_at is not None and due < self._wakes_at:
            self._changed.notify()

    def _watch(self) -> None:
        with self._changed:
            while self._kept:
                for kept in [kept for kept in self._kept.values() if kept.due <= now()]:
                    self._act_on(kept)
                dues = [kept.due for kept in self._kept.values()]
                self._wakes_at = min([*dues, now() + _LONGEST_SLEEP])
                self._changed.wait(max(self._wakes_at - now(), 0))
            self._wakes_at = None

    def _act_on(self, kept: _Kept) -> None:
        try:
            if kept.hold.valid:
                kept.due = kept.hold.until
                _in_background(self._renew, kept)
            else:
                _in_background(kept.lost)
                del self._kept[kept.hold]
        except RuntimeError:  # the machine lends no more threads now
            kept.due = now() + kept.hold.ttl * _RETRY_SHARE

    def _renew(self, kept: _Kept) -> None:
        renewed = kept.hold.renew()
        if renewed is False:
            if self.drop(kept.hold):
                kept.lost()
            return
        with self._changed:
            if renewed:
                kept.due = now() + kept.hold.ttl * _RENEW_SHARE
            else:
                kept.due = min(now() + kept.hold.ttl * _RETRY_SHARE, kept.hold.until)
            self._wake_for(kept.due)


def _in_background(act: Callable[..., None], *args: object) -> None:
    threading.Thread(target=act, args=args, name="switchyard-renewal", daemon=True).start()


_renewals = PerProcess(Renewals)


def of_this_process() -> Renewals:
    """What renews the holds of this process: none of its parent's, if it was forked."""
    return _renewals.get()
