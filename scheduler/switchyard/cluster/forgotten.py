"""Claims of a node that nothing in its process knows any more: neither what runs tasks nor the claimant.

An error in telling the end of a task, a lost reply or a slip of ours must not keep a task and its slot.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from switchyard.cluster.claimant.claimant import Claimant
from switchyard.cluster.claimant.unsettled import tag_of


class Forgotten:
    """Compares what the server says that the node holds with what its process knows, at each heartbeat.

    ``knows`` says of a message whether its consumer will yet settle it. ``lease`` is in seconds: a claim that
    nobody has known for so long is forgotten; one that is on its way is soon known.
    """

    def __init__(
        self,
        claimant: Claimant,
        knows: Callable[[Any], bool],
        lease: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._claimant = claimant
        self._knows = knows
        self._lease = lease
        self._clock = clock
        self._since: dict[str, float] = {}
        self._more_since: float | None = None

    @property
    def count(self) -> int:
        """Claims that nobody knew at the last look."""
        return len(self._since)

    def look(self, claims: int) -> list[str]:
        """The delivery tags of forgotten claims. ``claims`` is how many the server has."""
        now = self._clock()
        unknown = [tag for tag, message in self._claimant.held.messages() if not self._knows(message)]
        unknown += self._never_met(claims, now)
        self._since = {tag: self._since.get(tag, now) for tag in unknown}
        return [tag for tag, since in self._since.items() if now - since >= self._lease]

    def _never_met(self, claims: int, now: float) -> list[str]:
        """Claims that are only on the server. Read if it has had more than we know of for half a lease."""
        if claims <= self._claimant.accounted:
            self._more_since = None
            return []
        if self._more_since is None:
            self._more_since = now
        if now - self._more_since < self._lease / 2:
            return []
        mine = self._claimant
        tags = [tag_of(mine.epoch, receipt) for receipt in mine.state.claimed_receipts(mine.name)]
        known = mine.tags()
        return [tag for tag in tags if tag not in known]
