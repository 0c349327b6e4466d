"""``switchyard.lock`` on one server, and decided by three."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial

import pytest
import redis
import switchyard
from switchyard.coordination import clock
from switchyard.errors import ConfigurationError, LockLost, LockNotAcquired, NoQuorum

from tests.support import servers
from tests.support.app import make_app
from tests.support.servers import Server
from tests.support.waiting import wait_until

GRANT = "{switchyard}:grant:lock:x"


def holders(*among: Server) -> int:
    """How many of these servers have granted the lock to somebody."""
    return sum(int(server.client().exists(GRANT)) for server in among)


def test_one_holds_it_and_tokens_grow(server: Server) -> None:
    """Two would hold a lock at once, or what they write could not be told apart."""
    urls = [server.url()]
    with switchyard.lock("x", servers=urls) as first:
        with pytest.raises(LockNotAcquired, match="'x' is held"):
            switchyard.lock("x", servers=urls).acquire()
        with switchyard.lock("y", servers=urls):
            pass
        assert not first.lost
    with switchyard.lock("x", servers=urls) as second:
        assert second.token > first.token
    assert holders(server) == 0
    with pytest.raises(LockNotAcquired, match="never held"):
        _ = switchyard.lock("x").token


def test_it_is_renewed_until_it_is_given_back(clean_valkey: Server) -> None:
    """Work that takes longer than the ttl would lose its lock."""
    with switchyard.lock("x", ttl=0.4, servers=[clean_valkey.url()]) as held:
        threading.Event().wait(1.2)
        assert not held.lost
        assert holders(clean_valkey) == 1
        held.renew()
    assert holders(clean_valkey) == 0


def test_a_lost_lock_says_so_and_leaves_the_next_holder_alone(server: Server) -> None:
    """The well-known mistake: releasing or renewing a lock that is another's by now."""
    told: list[switchyard.Lock] = []
    late = switchyard.lock("x", ttl=0.5, servers=[server.url()], on_lost=told.append)
    late.acquire()
    server.client().delete(GRANT)
    with switchyard.lock("x", servers=[server.url()]) as heir:
        wait_until(lambda: told == [late], "the loss is told")
        assert late.lost
        with pytest.raises(LockLost, match="token"):
            late.renew()
        with pytest.raises(LockLost):
            late.release()
        assert not heir.lost
        assert int(server.client().hget(GRANT, "token") or 0) == heir.token


def test_a_silent_server_ends_the_lock_by_the_holders_own_clock() -> None:
    """A holder that is cut off would believe in its lock while another one has it."""
    with servers.redis_server(servers.free_port(), []) as server:
        told = threading.Event()
        held = switchyard.lock("x", ttl=2, servers=[server.url()], on_lost=lambda _: told.set())
        held.acquire()
        began = clock.now()
        server.client().execute_command("CLIENT", "PAUSE", 4000, "ALL")
        assert told.wait(5)
        assert clock.now() - began < 2
        assert held.lost


def test_the_line_is_first_come_first_served_and_a_bell_wakes_the_first(server: Server) -> None:
    """Who waits longest would be served last, or late."""
    order: list[int] = []

    def wait_for_it(number: int) -> None:
        with switchyard.lock("x", wait=20, servers=[server.url()]):
            order.append(number)

    threads = [threading.Thread(target=wait_for_it, args=(number,)) for number in range(5)]
    with switchyard.lock("x", servers=[server.url()]):
        for number, thread in enumerate(threads, start=1):
            thread.start()
            wait_until(partial(stand, number, server), "it is in the line")
        with pytest.raises(LockNotAcquired):
            switchyard.lock("x", servers=[server.url()]).acquire()
    for thread in threads:
        thread.join(20)
    assert order == [0, 1, 2, 3, 4]


def stand(number: int, server: Server) -> bool:
    """Whether so many stand in the line."""
    return waiting(server) == number


def waiting(server: Server) -> int:
    """How many stand in the line."""
    return server.client().zcard("{switchyard}:line:lock:x")


@pytest.mark.timing
def test_a_wait_ends_at_its_deadline_and_leaves_the_line(server: Server) -> None:
    """A caller would hang, or one that has given up would be served."""
    with switchyard.lock("x", servers=[server.url()]):
        began = time.monotonic()
        with pytest.raises(LockNotAcquired, match=r"all of the 0\.3 s"):
            switchyard.lock("x", wait=0.3, servers=[server.url()]).acquire()
        assert time.monotonic() - began < 3
        assert waiting(server) == 0


def test_the_dead_block_nobody_for_long(server: Server) -> None:
    """A killed waiter at the head of the line would hold up all others."""
    client = server.client()
    client.zadd("{switchyard}:line:lock:x", {"dead": 1})
    client.zadd("{switchyard}:waiters:lock:x", {"dead": client.time()[0] * 1000 + 700})
    with switchyard.lock("x", wait=10, servers=[server.url()]):
        assert waiting(server) == 0


def test_a_round_trip_each_way(server: Server) -> None:
    """A lock would cost more than the two round trips that are promised."""
    with switchyard.lock("x", servers=[server.url()]):
        pass  # the server knows the scripts now
    before = commands(server)
    with switchyard.lock("x", servers=[server.url()]):
        pass
    assert commands(server) - before == 2 + 1  # and INFO itself


def commands(server: Server) -> int:
    """EVALSHA and all else that clients sent so far; what scripts call is not counted."""
    stats = server.client().info("commandstats")
    inside = {"cmdstat_" + name for name in INSIDE}
    return sum(int(v["calls"]) for k, v in stats.items() if k not in inside)


INSIDE = (
    "time",
    "hget",
    "hset",
    "get",
    "set",
    "exists",
    "pexpire",
    "pttl",
    "del",
    "zrange",
    "hello",
    "client|setinfo",
)


def test_without_servers_the_applications_broker_decides(
    clean_valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``switchyard.lock(name)`` alone would not work, or lock somewhere else than its workers do."""
    monkeypatch.delenv("SWITCHYARD_BROKER_URL", raising=False)
    with pytest.raises(ConfigurationError, match="SWITCHYARD_BROKER_URL"):
        switchyard.lock("x").acquire()
    monkeypatch.setenv("SWITCHYARD_BROKER_URL", clean_valkey.url())
    with switchyard.lock("x"):
        assert holders(clean_valkey) == 1
    app = make_app(clean_valkey.url(1))
    app.set_current()
    with switchyard.lock("x"):
        assert clean_valkey.client(1).exists(GRANT)
    app.close()


def test_the_applications_broker_decides_in_every_thread(
    clean_valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Celery's current application is the main thread's: others would have no lock, or one somewhere else."""
    monkeypatch.setenv("SWITCHYARD_BROKER_URL", clean_valkey.url(1))
    app = make_app(clean_valkey.url())
    in_main = switchyard.lock("x", servers=[clean_valkey.url()])
    with ThreadPoolExecutor(1) as other, in_main, pytest.raises(LockNotAcquired):
        other.submit(switchyard.lock("x").acquire).result(timeout=10)
    app.close()


def test_more_threads_may_wait_than_kombu_has_connections(
    clean_valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a node with many threads a lock could not be decided although its server is fine."""
    monkeypatch.setenv("SWITCHYARD_BROKER_URL", clean_valkey.url(2))
    failed: list[Exception] = []

    def wait_in_vain() -> None:
        try:
            switchyard.lock("x", wait=0.5).acquire()
        except LockNotAcquired:
            pass
        except Exception as exc:
            failed.append(exc)

    threads = [threading.Thread(target=wait_in_vain) for _ in range(15)]
    with switchyard.lock("x"):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    assert failed == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"servers": []},
        {"servers": "redis://localhost"},
        {"servers": ["redis://a", "redis://a"]},
        {"servers": ["http://a"]},
        {"servers": ["redis://a"], "ttl": 0},
    ],
)
def test_wrong_use_says_what_to_mend(wrong: dict[str, object]) -> None:
    """A typing mistake would make every server but one, or a lock that is never held."""
    with pytest.raises(ConfigurationError, match=";"):
        switchyard.lock("x", **wrong).acquire()  # type: ignore[arg-type]


# -- several servers -----------------------------------------------------------------------------------


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
