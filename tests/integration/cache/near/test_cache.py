"""The near cache on real servers: what is in memory is true, or it is not used."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from redis.exceptions import RedisError

import switchyard
from switchyard.cache.near.cache import NEAR_TTL_S
from switchyard.cache.near.invalidation import STALE_S
from switchyard.node_figures import Cell, cells
from tests.support.servers import Server, binary, free_port
from tests.support.waiting import wait_until


class Machine:
    """A server that a test may stop, pause and start again."""

    def __init__(self, folder: str) -> None:
        self.port = free_port()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.server = Server("redis", self.port)

    def start(self) -> None:
        """Start it empty."""
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", self._folder]
        null = subprocess.DEVNULL
        self._process = subprocess.Popen([binary(), *options], stdout=null, stderr=null)
        wait_until(self._answers, "the server answers")

    def signal(self, number: int) -> None:
        """Pause it or let it go on."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)

    def _answers(self) -> bool:
        with suppress(RedisError, OSError), self.server.client() as client:
            return bool(client.ping())
        return False


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[list[Machine]]:
    """Two servers."""
    with ExitStack() as stack:
        found = []
        for _ in range(2):
            machine = Machine(stack.enter_context(tempfile.TemporaryDirectory()))
            stack.callback(machine.kill)
            machine.start()
            found.append(machine)
        yield found


@contextmanager
def near_cache(*urls: str) -> Iterator[switchyard.NearCache]:
    cache = switchyard.Cache(urls, namespace="near", jitter=0)
    near = switchyard.NearCache(cache)
    wait_until(lambda: near.warm, "all servers are heard")
    try:
        yield near
    finally:
        near.close()
        cache.close()


def in_memory(near: switchyard.NearCache, key: str) -> bool:
    """Whether this process has the value, without asking the servers."""
    return near._here.get().near.get(key) is not None


def warm_up(near: switchyard.NearCache, key: str) -> None:
    """Have a value in memory, with no message of an earlier set still on its way to drop it."""
    now, heard = time.monotonic(), near._here.get().invalidation
    assert heard is not None
    wait_until(lambda: min(heard._vouched.values()) > now, "all earlier messages have come")
    assert near.get(key) is not None
    assert in_memory(near, key)


def test_what_the_servers_had_is_counted_as_found(server: Server) -> None:
    """The hit rate that nodes show would leave out what was asked for with a way to compute it."""
    with near_cache(server.url()) as near, near_cache(server.url()) as other:
        before = cells()[Cell.FOUND]
        assert near.get_or_compute("a", lambda: 1) == 1
        assert cells()[Cell.FOUND] == before
        assert other.get_or_compute("a", lambda: 2) == 1
        assert cells()[Cell.FOUND] == before + 1


def test_a_value_is_read_once_and_changes_reach_it(server: Server) -> None:
    """Nodes would serve an old price for as long as its TTL after somebody set a new one."""
    with near_cache(server.url()) as near, near_cache(server.url()) as other:
        other.set("a", {"n": [1]})
        warm_up(near, "a")
        near.get("a")["n"].append("mine")
        assert near.get("a") == {"n": [1]}, "who changes what it got changes nobody else's"
        other.set("a", 2)
        wait_until(lambda: near.get("a") == 2, "the new value arrives")
        other.delete("a")
        wait_until(lambda: near.get("a") is None, "the value is gone")


def test_a_process_reads_its_own_writes(clean_valkey: Server) -> None:
    """Between a set and its message the process would still see its old value."""
    with near_cache(clean_valkey.url()) as near:
        for n in range(200):
            near.set("a", n)
            assert near.get("a") == n
        near.delete("a")
        assert near.get("a") is None


@pytest.mark.parametrize("how", ["flush", "clear", "expire"])
def test_whatever_ends_a_value_ends_it_in_memory(server: Server, how: str) -> None:
    """A value would live on in memory after the servers forgot it."""
    with near_cache(server.url()) as near:
        near.set("a", 1, ttl=3 if how == "expire" else 60)
        warm_up(near, "a")
        if how == "flush":
            server.client().flushall()
        elif how == "clear":
            near.cache.clear()
        wait_until(lambda: not in_memory(near, "a"), "memory forgets it", timeout=NEAR_TTL_S - 2)


def test_get_or_compute_keeps_what_was_computed(clean_valkey: Server) -> None:
    """Every look-up of a computed value would go to the servers."""
    with near_cache(clean_valkey.url()) as near:
        assert near.get_or_compute("a", lambda: 1) == 1
        assert near.get_or_compute("a", lambda: 2) == 1
        warm_up(near, "a")


def test_a_lost_server_empties_it_until_all_are_heard_again(machines: list[Machine]) -> None:
    """What changed while a connection was broken would never reach this node."""
    with near_cache(*(machine.server.url() for machine in machines)) as near:
        near.set("a", 1)
        warm_up(near, "a")
        machines[0].kill()
        wait_until(lambda: not near.warm, "the loss is noticed")
        assert near.get("a") == 1, "the other server answers"
        assert not in_memory(near, "a")
        machines[0].start()
        wait_until(lambda: near.get("a") == 1 and in_memory(near, "a"), "both are heard, it is kept again")


def test_a_silent_server_is_trusted_no_longer_than_promised(machines: list[Machine]) -> None:
    """A network that swallows messages would leave old values in use for ever."""
    with near_cache(machines[0].server.url()) as near:
        near.set("a", 1)
        warm_up(near, "a")
        machines[0].signal(signal.SIGSTOP)
        try:
            wait_until(lambda: not near.warm, "trust ends", timeout=STALE_S + 1)
            assert not in_memory(near, "a")
        finally:
            machines[0].signal(signal.SIGCONT)
        wait_until(lambda: near.warm, "it is heard again")


def test_a_forked_child_listens_for_itself(clean_valkey: Server) -> None:
    """Pool children would keep values that nobody tells them about: threads do not survive a fork."""
    with near_cache(clean_valkey.url()) as near:
        near.set("a", 1)
        warm_up(near, "a")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: threads do not survive it
            child = os.fork()
        if child == 0:
            status = 1
            with suppress(BaseException):
                fresh = not in_memory(near, "a")
                wait_until(lambda: near.warm, "the child is told of changes")
                warm_up(near, "a")
                clean_valkey.client().delete(near.cache.keys.entry("a"))
                wait_until(lambda: not in_memory(near, "a"), "the child hears of the change")
                status = 0 if fresh else 2
            os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
