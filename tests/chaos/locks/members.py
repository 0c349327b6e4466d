"""What the forked processes do: count under a lock, or stand for election and act as the leader."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Sequence

import switchyard
from switchyard.coordination.servers import voters
from tests.chaos.locks.ledger import Ledger

NAME = "chaos"
#: Seconds that a contender waits in the line.
WAIT = 30.0
#: Mean seconds for which it holds the lock, and the share of times that it does so for up to two ttls.
_HOLD, _LONG = 0.02, 0.05
#: Seconds between two acts of a leader.
_ACT = 0.01


def contender(ledger: Ledger, ttl: float, servers: Sequence[str]) -> Callable[[], None]:
    """One turn: wait for the lock, read the counter, write one more; never look whether it was lost."""
    voters(servers, ttl)  # imports and settings, once for all forks: who asks stands in the line at once

    def turn() -> None:
        ledger.record("ask")
        try:
            with switchyard.lock(NAME, ttl, WAIT, servers) as held:
                value = ledger.record("enter", held.token)
                long = random.random() < _LONG
                time.sleep(random.uniform(0, 2 * ttl) if long else random.expovariate(1 / _HOLD))
                ledger.record("write", held.token, value + 1)
                ledger.record("leave", held.token)
        except (switchyard.LockNotAcquired, switchyard.LockLost, switchyard.NoQuorum) as exc:
            ledger.record(type(exc).__name__)

    return turn


def candidate(ledger: Ledger, ttl: float, servers: Sequence[str]) -> Callable[[], None]:
    """Stands for election for as long as it lives, and acts whenever it believes that it leads."""

    def life() -> None:
        parent = os.getppid()
        with switchyard.Election(
            NAME,
            ttl,
            servers,
            on_gain=lambda term: _note(ledger, "gain", term),
            on_loss=lambda term: _note(ledger, "loss", term),
        ) as election:
            while os.getppid() == parent:
                if (term := election.term) is not None:
                    ledger.record("act", term)
                time.sleep(_ACT)

    return life


def _note(ledger: Ledger, kind: str, term: int) -> None:
    ledger.record(kind, term)
