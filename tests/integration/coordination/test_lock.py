"""``switchyard.lock`` on one server, and decided by three."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

import switchyard
from switchyard.coordination import clock
from switchyard.errors import ConfigurationError, LockLost, LockNotAcquired
from tests.integration.coordination.grants import GRANT, holders
from tests.support import servers
from tests.support.app import make_app
from tests.support.servers import Server
from tests.support.waiting import wait_until


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
