"""One caller computes what the others wait for."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable
from typing import Any

from scheduler.caching.codec import Codec
from scheduler.caching.deadline import Deadline
from scheduler.caching.figures import Counters
from scheduler.caching.store import Lifetime, Store

#: Seconds between two looks at a value that another caller computes: from the first to the longest pause.
_FIRST_PAUSE = 0.005
_LONGEST_PAUSE = 0.1


def compute_once(
    store: Store,
    codec: Codec,
    key: str,
    compute: Callable[[], Any],
    lifetime: Lifetime,
    lease: float,
    begin: Callable[[], Deadline],
    counters: Counters,
) -> Any:
    """The value in the store, or what ``compute`` returns to whichever caller holds the claim."""
    token = secrets.token_hex(8)
    give_up = Deadline.after(lease)
    pause = _FIRST_PAUSE
    while True:
        found = store.read([key], begin())
        if key in found.fresh:
            counters.looked_up(1, 0)
            return codec.loads(found.fresh[key])
        claimed = store.claim(key, token, lease, begin()) if give_up.left() else None
        if claimed is not False:
            counters.looked_up(0, 1)
            return _compute(store, codec, key, compute, lifetime, token, begin)
        if key in found.stale:
            counters.looked_up(1, 0)
            return codec.loads(found.stale[key])
        time.sleep(random.uniform(pause / 2, pause))
        pause = min(2 * pause, _LONGEST_PAUSE)


def _compute(
    store: Store,
    codec: Codec,
    key: str,
    compute: Callable[[], Any],
    lifetime: Lifetime,
    token: str,
    begin: Callable[[], Deadline],
) -> Any:
    try:
        value = compute()
        store.write({key: codec.encode(key, value)}, lifetime, begin())
    finally:
        store.release(key, token, begin())
    return value
