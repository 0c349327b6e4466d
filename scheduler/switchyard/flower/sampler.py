"""Looks at the cluster once a second, so that no page, no API and no scrape has to."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from switchyard.cluster.as_json import DeadSummary, summarize
from switchyard.cluster.depths import survey
from switchyard.cluster.state import State
from switchyard.errors import BrokerUnreachable, SwitchyardError, one_line
from switchyard.flower.history import History
from switchyard.flower.snapshot import Snapshot
from switchyard.flower.speed import speeds
from switchyard.models import Event

logger = logging.getLogger(__name__)

#: Seconds between the ends of two looks, and how many times as long as a look the pause is at least: what
#: looks at the server must not be what keeps it busy.
EVERY, RESTRAINT = 1.0, 4.0
#: Events and tasks given up on that are kept in memory.
EVENTS_KEPT, DEAD_KEPT = 5000, 200
#: What a look may fail with while the server is away or not what it should be.
OUTAGE = (RedisError, OperationalError, SwitchyardError, OSError)


class Sampler:
    """A thread that looks, and the last thing that it saw."""

    def __init__(self, connect: Callable[[], State], clock: Callable[[], float] = time.monotonic) -> None:
        self._connect = connect
        self._clock = clock
        self._snapshot = Snapshot()
        self._history = History()
        self._state: State | None = None
        self._wanted = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._look_on, name="switchyard-sampler", daemon=True)

    @property
    def snapshot(self) -> Snapshot:
        """What the cluster was like at the last look. No I/O."""
        return self._snapshot

    def state(self) -> State:
        """The cluster's state, to change it. Raises BrokerUnreachable before the first connection."""
        if self._state is None:
            raise BrokerUnreachable(f"{self._snapshot.error or 'not connected yet'}; try again in a moment")
        return self._state

    def start(self) -> None:
        """Look from now on."""
        self._thread.start()

    def stop(self) -> bool:
        """Look no more, without waiting for a look that is under way; False if there was none to stop."""
        running = self._thread.is_alive() and not self._stopped.is_set()
        self._stopped.set()
        self._wanted.set()
        return running

    def look_soon(self) -> None:
        """Look now instead of at the next second: something was changed."""
        self._wanted.set()

    def _look_on(self) -> None:
        while not self._stopped.is_set():
            began = self._clock()
            self._look()
            self._wanted.wait(max(EVERY, RESTRAINT * (self._clock() - began)))
            self._wanted.clear()

    def _look(self) -> None:
        try:
            self._snapshot = self._see(self._connected())
        except OUTAGE as exc:
            self._failed(exc, expected=True)
        except Exception as exc:  # something in Redis that nobody foresaw must not end the looking
            self._failed(exc, expected=False)

    def _failed(self, exc: Exception, expected: bool) -> None:
        why = one_line(exc)
        if self._snapshot.error is None:
            logger.warning("The cluster can't be seen: %s. Trying again.", why, exc_info=not expected)
        self._snapshot = replace(self._snapshot, error=why)

    def _connected(self) -> State:
        if self._state is None:
            self._state = self._connect()
        return self._state

    def _see(self, state: State) -> Snapshot:
        began, before = self._clock(), self._snapshot
        seen = survey(state)
        events = self._events(state, before.events)
        placements = state.placements([node.name for node in seen.nodes])
        return Snapshot(
            at=seen.now,
            seen=began,
            nodes=seen.nodes,
            queues=seen.queues,
            counters=state.counters(),
            placements=placements,
            speeds=speeds(seen.nodes),
            events=events,
            dead=self._dead(state, before.dead),
            dead_count=state.dead_count(),
            rates=self._history.add(seen.nodes, seen.queues, began),
            node_trends=self._history.nodes(),
            queue_trends=self._history.queues(),
        )

    @staticmethod
    def _events(state: State, known: tuple[Event, ...]) -> tuple[Event, ...]:
        news = state.events(EVENTS_KEPT, after=known[0].id if known else "")
        return (*news, *known)[:EVENTS_KEPT] if news else known

    @staticmethod
    def _dead(state: State, known: tuple[DeadSummary, ...]) -> tuple[DeadSummary, ...]:
        """The latest dead. What is known of them does not change, so only the new ones are read."""
        have = {dead.receipt: dead for dead in known}
        receipts = state.dead_receipts(DEAD_KEPT)
        for dead in state.dead_tasks([receipt for receipt in receipts if receipt not in have]):
            have[dead.receipt] = summarize(state.keys, dead)
        return tuple(have[receipt] for receipt in receipts if receipt in have)
