"""``switchyard.lock`` decided by three servers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import redis

import switchyard
from switchyard.errors import LockLost, LockNotAcquired, NoQuorum
from tests.integration.coordination.grants import GRANT, holders
from tests.support import servers
from tests.support.servers import Server
from tests.support.waiting import wait_until


@pytest.fixture
def three() -> Iterator[list[tuple[int, ExitStack, Server]]]:
    """Three servers that can be stopped one by one: port, what stops it, and the server."""
    with ExitStack() as all_of_them:
        found = []
        for _ in range(3):
            stop = all_of_them.enter_context(ExitStack())
            port = servers.free_port()
            found.append((port, stop, stop.enter_context(servers.redis_server(port, []))))
        yield found


Three = list[tuple[int, ExitStack, Server]]


def urls_of(three: Three) -> list[str]:
    return [server.url() for _, _, server in three]


def test_three_servers_decide_together(three: Three) -> None:
    """A vote would let two in, or leave grants of a minority behind."""
    urls, all_of_them = urls_of(three), [server for _, _, server in three]
    with switchyard.lock("x", ttl=5, servers=urls) as first:
        wait_until(
            lambda: tokens(all_of_them) == {first.token}, "all three know the token, the last a bit later"
        )
        before = first.token
        with pytest.raises(LockNotAcquired):
            switchyard.lock("x", ttl=5, servers=urls).acquire()
        assert holders(*all_of_them) == 3
    wait_until(lambda: holders(*all_of_them) == 0, "all three have it back")
    with switchyard.lock("x", ttl=5, servers=urls) as second:
        assert second.token > before


def tokens(all_of_them: list[Server]) -> set[int]:
    return {int(server.client().hget(GRANT, "token") or 0) for server in all_of_them}


def test_a_minoritys_grants_are_taken_back_at_once(three: Three) -> None:
    """A vote that was lost would block its minority for a whole ttl."""
    for _, _, server in three[:2]:
        server.client().hset(GRANT, mapping={"owner": "another", "token": 1})
    with pytest.raises(LockNotAcquired):
        switchyard.lock("x", ttl=5, servers=urls_of(three)).acquire()
    wait_until(lambda: holders(three[2][2]) == 0, "the minority's grant is gone", timeout=2)


@pytest.mark.timing
def test_one_of_three_down_goes_on_and_two_down_is_refused(three: Three) -> None:
    """One server would be a single point of failure, or a minority would decide."""
    urls = urls_of(three)
    with switchyard.lock("warm", ttl=2, servers=urls):
        pass
    wait_until(lambda: can_lock(urls), "the servers have been up for a ttl", timeout=10)
    three[0][1].close()
    with switchyard.lock("x", ttl=2, servers=urls) as held:
        threading.Event().wait(1.5)
        assert not held.lost
        three[1][1].close()
        began = time.monotonic()
        with pytest.raises(NoQuorum, match="too few"):
            switchyard.lock("y", ttl=2, servers=urls).acquire()
        assert time.monotonic() - began < 2
        wait_until(lambda: held.lost, "the holder sees that it cannot renew", timeout=5)
        with pytest.raises(LockLost):
            held.release()


def can_lock(urls: list[str]) -> bool:
    """Whether two of the three remember for a ttl, so that one that is down does not matter."""
    clients = [redis.Redis.from_url(url) for url in urls]
    now = clients[0].time()[0] * 1000
    return all(now - int(client.hget("{switchyard}:memory", "since") or now) > 2500 for client in clients)


@pytest.mark.timing
def test_two_servers_that_are_silent_cost_no_more_than_the_deadline(three: Three) -> None:
    """A partition would hang its callers, or not say which servers are silent."""
    urls = urls_of(three)
    for _, _, server in three[:2]:
        server.client().execute_command("CLIENT", "PAUSE", 10000, "ALL")
    began = time.monotonic()
    with pytest.raises(NoQuorum) as refused:
        switchyard.lock("x", ttl=8, servers=urls).acquire()
    assert time.monotonic() - began < 3.5  # the deadline is 2 s, and nobody waits for a second one
    assert all(f"127.0.0.1:{port}: " in str(refused.value) for port, _, _ in three[:2])


def test_a_young_cluster_says_what_it_waits_for(three: Three) -> None:
    """Somebody would mend a server that is well."""
    three[0][1].close()
    with pytest.raises(NoQuorum, match="2 began to remember less than a ttl ago"):
        switchyard.lock("x", ttl=5, servers=urls_of(three)).acquire()
    wait_until(lambda: holders(*(server for _, _, server in three[1:])) == 0, "they have it back", timeout=2)


def test_renewals_survive_a_machine_that_lends_no_threads(
    clean_valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One refusal, and nothing would be renewed for as long as the process lives."""
    refused = threading.Event()
    start = threading.Thread.start

    def refuse_once(thread: threading.Thread) -> None:
        if not refused.is_set() and threading.current_thread().name == "switchyard-renewal":
            refused.set()
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse_once)
    with switchyard.lock("x", ttl=1.5, servers=[clean_valkey.url()]) as held:
        assert refused.wait(10)
        threading.Event().wait(2)
        assert not held.lost


@pytest.mark.timing
def test_a_server_that_comes_back_empty_lets_no_second_holder_in(three: Three) -> None:
    """One restart without its data, and two would hold the lock within the ttl."""
    urls = urls_of(three)
    with switchyard.lock("warm", ttl=2, servers=urls):
        pass
    wait_until(lambda: can_lock(urls), "the servers have been up for a ttl", timeout=10)
    # It is held by servers 0 and 1 only, and its holder is too dead to renew.
    for _, _, server in three[:2]:
        server.client().hset(GRANT, mapping={"owner": "dead", "token": 1})
        server.client().pexpire(GRANT, 2000)
    began = time.monotonic()
    port, stop, _ = three[0]
    stop.close()
    with servers.redis_server(port, []):
        with pytest.raises((LockNotAcquired, NoQuorum)):
            switchyard.lock("x", ttl=2, servers=urls).acquire()
        with switchyard.lock("x", ttl=2, wait=10, servers=urls):
            assert time.monotonic() - began > 1.9


def test_a_server_that_was_down_is_told_who_holds(three: Three) -> None:
    """Restarting three servers one after the other would take away a lock that is held all the time."""
    urls = urls_of(three)
    with switchyard.lock("x", ttl=1, servers=urls) as held:
        three[0][2].client().flushall()
        wait_until(lambda: holders(three[0][2]) == 1, "the empty server is told", timeout=5)
        three[1][2].client().flushall()
        wait_until(lambda: holders(three[1][2]) == 1, "the next one is told", timeout=5)
        assert not held.lost


def test_many_candidates_and_three_servers_agree(three: Three) -> None:
    """Votes would split for ever, or two would win."""
    urls = urls_of(three)
    inside, most, tokens = [0], [0], []

    def count_one() -> None:
        for _ in range(3):
            with switchyard.lock("x", ttl=10, wait=60, servers=urls) as held:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                tokens.append(held.token)
                inside[0] -= 1

    threads = [threading.Thread(target=count_one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert most == [1]
    assert len(tokens) == 18
    assert tokens == sorted(set(tokens))
