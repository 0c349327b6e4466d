"""One caller computes what the others wait for."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from switchyard.cache.codec import Codec
from switchyard.cache.figures import Counters
from switchyard.cache.store import Deadline, Lifetime, Store

#: Seconds between two looks at a value that another caller computes: from the first to the longest pause.
_FIRST_PAUSE = 0.005
_LONGEST_PAUSE = 0.1


@dataclass(frozen=True, slots=True)
class Computation:
    """A value that the store may have, and how to compute it if it has not.

    ``begin`` starts the deadline of one operation on the store; ``hold`` is in seconds.
    """

    store: Store
    codec: Codec
    counters: Counters
    begin: Callable[[], Deadline]
    key: str
    compute: Callable[[], Any]
    lifetime: Lifetime
    hold: float

    def value(self) -> Any:
        """The value from the store, or computed here by whoever holds the claim."""
        token = secrets.token_hex(8)
        give_up = Deadline.after(self.hold)
        pause = _FIRST_PAUSE
        while True:
            fresh, stale = self._look()
            if fresh:
                return self._counted(fresh, hit=True)
            claimed = self.store.claim(self.key, token, self.hold, self.begin()) if give_up.left() else None
            if claimed is not False:
                return self._claimed(token)
            if stale:
                return self._counted(stale, hit=True)
            time.sleep(random.uniform(pause / 2, pause))
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _look(self) -> tuple[dict[str, Any], dict[str, Any]]:
        found = self.store.read([self.key], self.begin())
        return self.codec.decode_all(found.fresh), self.codec.decode_all(found.stale)

    def _claimed(self, token: str) -> Any:
        try:
            # The claim may have become free because another caller was done after we looked.
            fresh, _ = self._look()
            if fresh:
                return self._counted(fresh, hit=True)
            value = self.compute()
            payload = self.codec.encode(self.key, value)
            self.store.write({self.key: payload}, self.lifetime, self.begin())
        finally:
            self.store.release(self.key, token, self.begin())
        # As everybody else will get it: a tuple, say, comes back as a list.
        return self._counted({self.key: value} | self.codec.decode_all({self.key: payload}), hit=False)

    def _counted(self, values: dict[str, Any], *, hit: bool) -> Any:
        self.counters.looked_up(int(hit), int(not hit))
        return values[self.key]
