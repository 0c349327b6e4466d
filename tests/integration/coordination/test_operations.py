"""The Lua operations of locks against a model, on a real server, in random order."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from switchyard.cluster.keys import Keys
from switchyard.coordination import voter as voter_module
from switchyard.coordination.voter import Voter
from tests.support.replies import text, texts
from tests.support.servers import Server

SUBJECT = "lock:x"
#: Nothing runs out by itself while a test runs, in ms.
LONG_MS = 600_000
OWNERS = st.sampled_from(["a", "b", "c", "d"])


class Machine(RuleBasedStateMachine):
    """One owner at a time, first come first served, numbers that only grow."""

    server: Server

    @initialize(alone=st.booleans())
    def empty(self, alone: bool) -> None:
        """Start from nothing, as the only server or as one of several."""
        self.voter = Voter(self.server.client(), Keys(), alone)
        self.voter.client.flushdb()
        self.alone = alone
        self.holder: str | None = None
        self.tokens: dict[str, int] = {}
        self.line: list[str] = []
        self.highest = 0

    def teardown(self) -> None:
        """Let the connection go."""
        if hasattr(self, "voter"):
            self.voter.client.close()

    @rule(owner=OWNERS, in_line=st.booleans())
    def grant(self, owner: str, in_line: bool) -> None:
        """Somebody asks, once or as one who waits."""
        ballot = self.voter.grant(SUBJECT, owner, LONG_MS, 0, in_line)
        had = self.holder == owner
        free = self.holder is None and (not self.line or self.line[0] == owner)
        assert ballot.granted == (had or free)
        if ballot.granted:
            assert ballot.remembers == self.alone
            assert ballot.number == self.tokens[owner] if had else ballot.number > self.highest
            self.holder, self.tokens[owner] = owner, ballot.number
            self.line = [other for other in self.line if other != owner]
        else:
            assert (ballot.left > 0) == (self.holder is not None)
            assert (ballot.number > 0) == in_line
            if in_line and owner not in self.line:
                assert ballot.number > self.highest
                self.line.append(owner)
        self.highest = max(self.highest, ballot.number)

    @rule(owner=OWNERS)
    def renew(self, owner: str) -> None:
        """Somebody who was granted it once renews, whether it is still theirs or not."""
        if owner in self.tokens:
            had = self.holder == owner
            assert self.voter.renew(SUBJECT, owner, LONG_MS, self.tokens[owner]) == had
            if self.holder is None and not self.alone:
                self.holder = owner

    @rule(owner=OWNERS)
    def release(self, owner: str) -> None:
        """Somebody gives it back, or leaves the line, or does neither."""
        assert self.voter.release(SUBJECT, owner) == (self.holder == owner)
        self._gone(owner)
        self.line = [other for other in self.line if other != owner]
        self._rings()

    @rule(owner=OWNERS)
    def step_back(self, owner: str) -> None:
        """A minority's grant is taken back, but the place that other servers gave stays."""
        known = self.voter.client.zscore(self.voter.keys.line(SUBJECT), owner) if owner in self.line else None
        place = int(known or self.highest + 1)
        assert self.voter.release(SUBJECT, owner, place) == (self.holder == owner)
        self._gone(owner)
        if owner not in self.line:
            self.line.append(owner)
            self.highest = max(self.highest, place)
            self.voter.client.set(self.voter.keys.number, self.highest)
        self._rings(but=owner)

    @rule()
    def ttl_runs_out(self) -> None:
        """The holder died."""
        self.voter.client.delete(self.voter.keys.grant(SUBJECT))
        self.holder = None

    @rule()
    def first_waiter_dies(self) -> None:
        """The first in the line asks no more."""
        if self.line:
            self.voter.client.zadd(self.voter.keys.waiters(SUBJECT), {self.line.pop(0): 1})

    @invariant()
    def the_server_agrees(self) -> None:
        """Holder and line are what the model says, and nothing stays for ever."""
        if not hasattr(self, "voter"):
            return
        client, keys = self.voter.client, self.voter.keys
        holder = client.hget(keys.grant(SUBJECT), "owner")
        assert (text(holder) if holder else None) == self.holder
        dead = texts(client.zrangebyscore(keys.waiters(SUBJECT), 1, 1))
        line = [m for m in texts(client.zrange(keys.line(SUBJECT), 0, -1)) if m not in dead]
        assert line == self.line
        lasting = {keys.number.encode(), keys.memory.encode()}
        assert all(client.pttl(key) > 0 for key in client.scan_iter() if key not in lasting)

    def _gone(self, owner: str) -> None:
        if self.holder == owner:
            self.holder = None

    def _rings(self, but: str = "") -> None:
        """Whoever may take it now has been told."""
        keys, client = self.voter.keys, self.voter.client
        first = next(iter(texts(client.zrange(keys.line(SUBJECT), 0, 0))), "")
        if self.holder is None and first and first != but:
            assert client.lpop(keys.turn(first)) == b"1"


@pytest.mark.timeout(300)
def test_the_operations_do_what_the_model_says(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some order of requests, renewals and releases would let two in, overtake, or block for ever."""
    monkeypatch.setattr(voter_module, "KEEP_PLACE_MS", LONG_MS)
    Machine.server = server
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=30,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
