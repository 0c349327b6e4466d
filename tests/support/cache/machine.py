"""The cache against a model, while its servers are killed, emptied, paused and revived."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

import switchyard
from switchyard.cache import breaker
from switchyard.cache.ring import healing
from switchyard.cache.store import Standing
from tests.chaos.machines.servers import Server
from tests.support.waiting import wait_until

#: Seconds; far more than a call takes on a busy machine, for one that is late would be a second fault.
DEADLINE = 0.4
#: Seconds; short, so that a server comes back soon.
PAUSE_S = 0.2
LOOK_S = 0.05
BRIEF_S = 0.2
JITTER = 0.1
KEYS = [f"key:{number}" for number in range(12)]

keys = st.sampled_from(KEYS)
clients = st.integers(0, 1)
servers = st.integers(0, 2)
some_keys = st.sets(keys, min_size=1, max_size=4)
#: What was done to servers, for a long run to say.
faults: Counter[str] = Counter()


class CacheMachine(RuleBasedStateMachine):
    """Two clients, three servers, two replicas, and at most one server away at a time.

    A server is away from its fault until both clients say that it is up again. Every read by either client,
    at any moment, must give exactly what the model holds.
    """

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.servers = [Server(Path(self._folder.name, str(number)), []) for number in range(3)]
        for server in self.servers:
            server.start()
        urls = [server.url for server in self.servers]
        self.caches = [switchyard.Cache(urls, deadline=DEADLINE, ttl=3600, jitter=JITTER) for _ in range(2)]
        self.model: dict[str, Any] = {}
        self.away: Server | None = None
        self.recovering = True
        self.written = 0

    def teardown(self) -> None:
        """Stop everything."""
        for cache in self.caches:
            cache.close()
        for server in self.servers:
            server.kill()
        self._folder.cleanup()

    def set_one(self, client: int, key: str) -> None:
        """Set a key."""
        self.written += 1
        assert self.caches[client].set(key, self.written)
        self.model[key] = self.written

    def set_many(self, client: int, some: set[str]) -> None:
        """Set some keys together."""
        self.written += 1
        assert self.caches[client].set_many(dict.fromkeys(some, self.written))
        self.model.update(dict.fromkeys(some, self.written))

    def delete(self, client: int, key: str) -> None:
        """Delete a key."""
        assert self.caches[client].delete(key)
        self.model.pop(key, None)

    def get(self, client: int, key: str) -> None:
        """A key reads as in the model."""
        assert self.caches[client].get(key) == self.model.get(key)

    @rule(client=clients)
    def get_many(self, client: int) -> None:
        """All keys read as in the model."""
        assert self.caches[client].get_many(KEYS) == self.model

    @rule(client=clients, key=keys)
    def compute(self, client: int, key: str) -> None:
        """What is there is not computed; what is not is, and kept."""
        self.written += 1
        computed = self.caches[client].get_or_compute(key, lambda: self.written)
        assert computed == self.model.setdefault(key, self.written)

    @rule(client=clients, key=keys)
    def run_out(self, client: int, key: str) -> None:
        """A key that runs out is gone, and nothing that it had before comes back."""
        self.written += 1
        began = time.monotonic()
        assert self.caches[client].set(key, self.written, ttl=BRIEF_S)
        self.model.pop(key, None)
        while (value := self.caches[1 - client].get(key)) is not None:
            assert value == self.written
            assert time.monotonic() < began + BRIEF_S + 10
        assert time.monotonic() > began + BRIEF_S * (1 - JITTER)

    @rule(client=clients, value=st.booleans())
    def clear(self, client: int, value: bool) -> None:
        """Forget everything, now and then."""
        if value and self._healthy():
            assert self.caches[client].clear()
            self.model.clear()

    @precondition(lambda self: self.away is None)
    @rule(number=servers, client=clients, changed=some_keys, deleted=some_keys, keep=st.booleans())
    def kill(self, number: int, client: int, changed: set[str], deleted: set[str], keep: bool) -> None:
        """SIGKILL a server, with what it had on disk before the last changes, or with nothing."""
        self._heal()
        faults["killed, old data kept" if keep else "killed"] += 1
        server = self.servers[number]
        if keep:
            connection = server.client()
            connection.save()
            connection.close()
        self._change(client, changed, deleted)
        self.away = server
        server.kill()
        if not keep:
            Path(server.folder, "dump.rdb").unlink(missing_ok=True)

    @precondition(lambda self: self.away is not None)
    @rule(client=clients, before=some_keys, after=some_keys, deleted=some_keys, look=st.booleans())
    def revive(self, client: int, before: set[str], after: set[str], deleted: set[str], look: bool) -> None:
        """Start it again. Reads at once would mend what they see, so there are runs without."""
        assert self.away
        self._change(client, before, deleted)
        self.away.start()
        self.away, self.recovering = None, True
        if look:
            self.get_many(1 - client)
            self._change(client, after, before)
            self.get_many(1 - client)
            self.get_many(client)
        self._heal()

    @precondition(lambda self: self.away is None)
    @rule(number=servers)
    def empty(self, number: int) -> None:
        """Empty a server while it runs."""
        self._heal()
        faults["emptied"] += 1
        with self.servers[number].client() as client:
            client.flushall()
        self.recovering = True

    @precondition(lambda self: self.away is None)
    @rule(number=servers, key=keys, other=keys)
    def pause(self, number: int, key: str, other: str) -> None:
        """One client writes past a paused server; the other is asked once the first one has mended it."""
        self._heal()
        faults["paused"] += 1
        self.servers[number].pause()
        try:
            for _ in range(breaker.FAILURES + 1):  # the last one is not sent to the paused server at all
                self.set_one(0, key)
            self.delete(0, other)
        finally:
            self.servers[number].resume()
        self.recovering = True
        self.get(0, key)
        self.get(0, other)
        self._heal()

    @rule(client=clients, changed=some_keys, deleted=some_keys)
    def change(self, client: int, changed: set[str], deleted: set[str]) -> None:
        """Set and delete some keys."""
        self._change(client, changed, deleted)

    def _change(self, client: int, changed: set[str], deleted: set[str]) -> None:
        self.set_many(client, changed)
        for key in sorted(deleted):
            self.delete(client, key)

    def _healthy(self) -> bool:
        return self.away is None and all(
            state.standing is Standing.UP for cache in self.caches for state in cache.servers()
        )

    def _heal(self) -> None:
        if self.recovering:
            wait_until(self._healthy, "both clients say that all servers are up", 30)
            self.recovering = False
            self.get_many(0)
            self.get_many(1)


def check(examples: int, steps: int, number: int) -> None:
    """Run so many sequences of steps from this seed; raises what the shortest failing one raises."""
    usual = breaker.PAUSE_S, healing.LOOK_S
    breaker.PAUSE_S, healing.LOOK_S = PAUSE_S, LOOK_S
    try:
        run_state_machine_as_test(
            seed(number)(CacheMachine),
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        breaker.PAUSE_S, healing.LOOK_S = usual
