"""Lists whose tasks a node claimed and had to give back: it leaves them alone for a while, and says so."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

#: Seconds for which a list is left alone at first, and at most; each time it is twice as long.
FIRST_S, MOST_S = 1.0, 60.0
#: Lists that are remembered; of more than these the oldest are looked at again.
LISTS_MAX = 100


@dataclass(frozen=True, slots=True)
class _Pause:
    until: float
    seconds: float
    reason: str


class Avoided:
    """Lists by key, each with the reason and until when nothing is claimed from it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pauses: dict[str, _Pause] = {}

    def __bool__(self) -> bool:
        return bool(self._pauses)

    def add(self, home: str, reason: str) -> bool:
        """Leave a list alone from now on, for longer if it was lately; whether that is news.

        Without a ``reason`` there is nothing to complain of.
        """
        before = self._pauses.pop(home, None)
        seconds = FIRST_S if before is None else min(2 * before.seconds, MOST_S)
        while len(self._pauses) >= LISTS_MAX:
            del self._pauses[next(iter(self._pauses))]
        self._pauses[home] = _Pause(self._clock() + seconds, seconds, reason)
        return before is None

    def without(self, groups: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
        """The groups of lists without those that are left alone; a group stays, though it may be empty."""
        now = self._clock()
        for home, pause in list(self._pauses.items()):
            if now > pause.until + MOST_S:
                del self._pauses[home]
        shut = {home for home, pause in self._pauses.items() if now < pause.until}
        return [tuple(home for home in group if home not in shut) for group in groups]

    @property
    def complaint(self) -> str:
        """What a person should know: the reasons of the last minute, in one line."""
        pauses = list(self._pauses.values())
        reasons = (pause.reason for pause in pauses if pause.reason and self._clock() < pause.until + MOST_S)
        return "; ".join(dict.fromkeys(reasons))
