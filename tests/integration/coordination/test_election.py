"""``switchyard.Election``: one leader, terms that grow, and who is told what when."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

import switchyard
from switchyard.coordination import clock
from tests.support import servers
from tests.support.servers import Server
from tests.support.waiting import wait_until

GRANT = "{switchyard}:grant:election:e"
TTL = 1.0


class Candidate:
    """A candidacy that remembers what it was told."""

    def __init__(self, *urls: str, ttl: float = TTL) -> None:
        self.told: list[tuple[str, int]] = []
        self.election = switchyard.Election(
            "e",
            ttl,
            list(urls),
            on_gain=lambda term: self.told.append(("gain", term)),
            on_loss=lambda term: self.told.append(("loss", term)),
        )

    def __enter__(self) -> Candidate:
        self.election.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.election.stop()

    @property
    def leads(self) -> bool:
        """Whether it leads."""
        return self.election.is_leader


@pytest.mark.timing
def test_one_leads_and_resigns_on_exit(server: Server) -> None:
    """Two would lead, or a rolling restart would be without a leader for a ttl each time."""
    with Candidate(server.url(), ttl=30) as heir_of_nobody, ExitStack() as first_leaves:
        wait_until(lambda: heir_of_nobody.leads, "the first leads")
        first = heir_of_nobody
        second = first_leaves.enter_context(Candidate(server.url(), ttl=30))
        wait_until(lambda: server.client().zcard("{switchyard}:line:election:e") == 1, "the second waits")
        assert not second.leads
        assert second.election.term is None
        term = first.election.term
        began = time.monotonic()
        first.election.stop()
        wait_until(lambda: second.leads, "the second leads")
        assert time.monotonic() - began < 5
        assert (second.election.term or 0) > (term or 0)
        assert first.told == [("gain", term), ("loss", term)]


def test_a_leader_leads_for_many_ttls(clean_valkey: Server) -> None:
    """Leadership would flap although nothing is wrong."""
    with Candidate(clean_valkey.url(), ttl=0.5) as leader, Candidate(clean_valkey.url(), ttl=0.5) as other:
        wait_until(lambda: leader.leads or other.leads, "one leads")
        threading.Event().wait(2)
        assert len(leader.told + other.told) == 1


def test_a_leader_that_cannot_renew_steps_down_before_another_may_lead() -> None:
    """A leader that is cut off would go on leading beside its successor."""
    with servers.redis_server(servers.free_port(), []) as server, Candidate(server.url()) as leader:
        wait_until(lambda: leader.leads, "it leads")
        ends = server.client().pttl(GRANT) / 1000 + clock.now()
        server.client().execute_command("CLIENT", "PAUSE", 4000, "ALL")
        wait_until(lambda: len(leader.told) == 2, "it is told", timeout=10)
        # A renewal may have come between the look and the pause.
        assert clock.now() < ends + TTL / 3
        assert not leader.leads
        wait_until(lambda: leader.leads, "it leads again", timeout=10)
        assert [what for what, _ in leader.told] == ["gain", "loss", "gain"]
        assert leader.told[2][1] > leader.told[0][1]


def test_a_leader_whose_term_was_taken_away_is_told_at_its_next_renewal(server: Server) -> None:
    """A server that lost its memory would leave two leaders for as long as the old one renews."""
    with Candidate(server.url()) as leader:
        wait_until(lambda: leader.leads, "it leads")
        server.client().hset(GRANT, "owner", "another")
        wait_until(lambda: len(leader.told) == 2, "it is told")
        assert not leader.leads


def test_a_callback_that_fails_or_takes_long_costs_no_leadership(clean_valkey: Server) -> None:
    """A mistake in a callback would end the candidacy, or a slow start the term."""
    slow = threading.Event()

    def gain(_: int) -> None:
        slow.wait(1.5)
        raise ValueError("as asked")

    with switchyard.Election("e", 0.5, [clean_valkey.url()], on_gain=gain) as election:
        wait_until(lambda: election.is_leader, "it leads")
        term = election.term
        threading.Event().wait(1.5)
        assert election.term == term
        slow.set()


def test_a_callback_may_stop_its_own_election(server: Server) -> None:
    """A process that wants no second term would hang."""
    election = switchyard.Election("e", TTL, [server.url()], on_gain=lambda _: election.stop())
    election.start()
    wait_until(lambda: not server.client().exists(GRANT), "it resigned")
    election.stop()
    assert not election.is_leader


@pytest.fixture
def three() -> Iterator[list[tuple[ExitStack, Server]]]:
    with ExitStack() as all_of_them:
        found = []
        for _ in range(3):
            stop = all_of_them.enter_context(ExitStack())
            found.append((stop, stop.enter_context(servers.redis_server(servers.free_port(), []))))
        yield found


def test_a_forked_child_leads_nothing_and_may_stand_itself(server: Server) -> None:
    """Every child of a leader would lead as well, and none could ever stand for election."""
    context = multiprocessing.get_context("fork")
    said, resigned = context.SimpleQueue(), context.Event()

    def child(election: switchyard.Election) -> None:
        said.put(election.is_leader)
        election.start()
        resigned.wait(20)
        said.put(wait_until(lambda: election.term, "the child leads"))
        election.stop()

    with Candidate(server.url(), ttl=5) as parent:
        wait_until(lambda: parent.leads, "the parent leads")
        first = parent.election.term
        process = context.Process(target=child, args=(parent.election,), daemon=True)
        process.start()
        assert said.get() is False
        assert parent.leads
        parent.election.stop()
        resigned.set()
        assert said.get() > first
        process.join(20)
        assert process.exitcode == 0


def test_a_majority_elects_and_one_server_may_be_down(three: list[tuple[ExitStack, Server]]) -> None:
    """Losing one of three servers would cost the leader its term, or leave the cluster without one."""
    urls = [server.url() for _, server in three]
    with Candidate(*urls) as a, Candidate(*urls) as b:
        wait_until(lambda: a.leads or b.leads, "one leads")
        leader, other = (a, b) if a.leads else (b, a)
        threading.Event().wait(TTL)
        three[0][0].close()
        threading.Event().wait(2 * TTL)
        assert leader.leads
        assert len(leader.told) == 1
        assert other.told == []
        leader.election.stop()
        wait_until(lambda: other.leads, "the other one leads", timeout=10)
        three[1][0].close()
        wait_until(lambda: not other.leads, "without a majority nobody leads", timeout=10)


def test_an_election_that_nobody_can_decide_says_so_and_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    """At night nobody would know why nothing leads."""
    port = servers.free_port()
    with switchyard.Election("nightly", ttl=0.5, servers=[f"redis://127.0.0.1:{port}/0"]) as candidate:
        wait_until(lambda: "cannot be decided" in caplog.text, "it says so")
        assert f"127.0.0.1:{port}" in caplog.text
        with servers.redis_server(port, []):
            wait_until(lambda: candidate.is_leader, "it leads when the server is there")
            wait_until(lambda: "can be decided again" in caplog.text, "it says that too")
    assert caplog.text.count("cannot be decided") == 1
