"""The cache on real servers: what a caller sees, and what happens to keys as servers come and go."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import closing

import pytest
import redis

import switchyard
from switchyard.cache.ring import reading
from switchyard.cache.ring.operations import Command
from switchyard.cache.ring.shard import Replies, Shard, exchange
from switchyard.cache.store import Standing
from tests.chaos.machines.servers import Server
from tests.integration.cache.conftest import DEADLINE, Open
from tests.support.waiting import wait_until

KEYS = [f"key:{number}" for number in range(60)]
VALUES = {key: {"n": number} for number, key in enumerate(KEYS)}


def _is_up(cache: switchyard.Cache) -> bool:
    return all(state.standing is Standing.UP for state in cache.servers())


def test_a_caller_sees_what_was_set_and_not_what_was_deleted_cleared_or_expired(open_cache: Open) -> None:
    """Broken if the cache is no cache."""
    cache, other = open_cache(), open_cache()
    assert cache.set_many(VALUES)
    assert cache.set("none", None)
    assert other.get_many([*KEYS, "absent"]) == VALUES
    assert (other.get("none", "default"), other.get("absent", "default")) == (None, "default")
    assert other.delete(KEYS[0])
    assert cache.get(KEYS[0]) is None
    assert cache.set("brief", 1, ttl=0.05)
    wait_until(lambda: other.get("brief") is None, "the entry expires")
    assert cache.clear()
    assert other.get_many(KEYS) == {}
    assert other.set("again", 1)
    assert cache.get("again") == 1
    assert cache.figures.hits == 1
    assert cache.figures.errors == 0


def test_keys_that_are_set_together_do_not_expire_together(servers: list[Server], open_cache: Open) -> None:
    """Broken if all of a batch must be computed anew at the same moment."""
    assert open_cache(servers[0], jitter=0.5).set_many(VALUES, ttl=1000)
    with servers[0].client() as client:
        lives = [client.pttl(name) for name in client.scan_iter("cache:e:*")]
    assert len(lives) == len(VALUES)
    assert max(lives) - min(lives) > 100_000


def test_a_url_names_a_password_and_a_database(servers: list[Server], open_cache: Open) -> None:
    """Broken if a server with a password cannot be used, or the wrong one is an error for the caller."""
    server, url = servers[0], f"redis://:secret@127.0.0.1:{servers[0].port}/3"
    with server.client() as client:
        client.config_set("requirepass", "secret")
    with closing(switchyard.Cache([url], deadline=DEADLINE)) as cache:
        assert cache.set("key", 1)
        assert cache.get("key") == 1
    with redis.Redis(port=server.port, db=3, password="secret") as client:
        assert client.exists("cache:e:key")
    stranger = open_cache(server)
    assert stranger.get("key") is None
    assert not stranger.set("key", 2)
    assert stranger.figures.errors > 0


def test_a_read_repairs_what_a_server_lacks(servers: list[Server], open_cache: Open) -> None:
    """Broken if a server that lost an entry goes on without it."""
    cache = open_cache()
    cache.set_many(VALUES)
    client = servers[0].client()
    names = list(client.scan_iter("cache:e:*"))
    assert names
    client.delete(*names)
    assert {key: cache.get(key) for key in KEYS} == VALUES
    assert cache.get_many(KEYS) == VALUES
    repaired = list(client.scan_iter("cache:e:*"))
    client.close()
    assert len(repaired) == cache.figures.repairs > 0
    assert set(repaired) <= set(names)


def test_many_keys_are_read_from_as_few_servers_as_have_them(
    servers: list[Server], open_cache: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken if each server more makes a read of many keys slower, or a server in doubt is asked first."""
    cache = open_cache()
    cache.set_many(VALUES)
    wait_until(lambda: _is_up(cache), "all servers are up")
    asked: list[set[str]] = []

    def noted(batches: Mapping[Shard, Sequence[Command]], seconds: float) -> dict[Shard, Replies]:
        asked.append({shard.name for shard in batches})
        return exchange(batches, seconds)

    monkeypatch.setattr(reading, "exchange", noted)
    assert cache.get_many(KEYS) == VALUES
    assert [len(some) for some in asked] == [2]
    next(server for server in servers if f"127.0.0.1:{server.port}/0" in asked[0]).kill()
    assert cache.get_many(KEYS) == VALUES
    asked.clear()
    assert cache.get_many(KEYS) == VALUES
    assert [len(some) for some in asked] == [2]


def test_servers_that_join_and_leave_lose_no_key(servers: list[Server], open_cache: Open) -> None:
    """Broken if scaling the cache empties it."""
    before = open_cache(servers[0], servers[1])
    before.set_many(VALUES)
    before.delete(KEYS[0])
    kept = {key: value for key, value in VALUES.items() if key != KEYS[0]}
    with_more = open_cache()
    assert with_more.get_many(KEYS) == kept
    wait_until(lambda: _is_up(with_more), "the new server has been given what it owns", 30)
    with_fewer = open_cache(servers[1], servers[2])
    assert with_fewer.get_many(KEYS) == kept


def test_a_server_that_comes_back_with_old_data_gives_nobody_an_old_value(
    servers: list[Server], open_cache: Open
) -> None:
    """Broken if what a server had on disk is taken for the present, at once or once it is trusted."""
    writer, reader = open_cache(), open_cache()
    writer.set_many(VALUES)
    wait_until(lambda: _is_up(writer) and _is_up(reader), "all servers are up", 30)
    client = servers[0].client()
    client.save()
    client.close()
    writer.set_many(dict.fromkeys(KEYS[:20], "before the kill"))
    assert all(map(writer.delete, KEYS[20:30]))
    servers[0].kill()
    writer.set_many(dict.fromkeys(KEYS[30:40], "while away"))
    assert all(map(writer.delete, KEYS[40:50]))
    servers[0].start()
    present: dict[str, object] = {key: VALUES[key] for key in KEYS[50:]}
    present |= dict.fromkeys(KEYS[:20], "before the kill") | dict.fromkeys(KEYS[30:40], "while away")
    # One key of each kind at once: reading all of them would mend all of them.
    for key in (KEYS[0], KEYS[20], KEYS[30], KEYS[40], KEYS[50]):
        assert reader.get(key) == present.get(key)
    wait_until(lambda: _is_up(writer) and _is_up(reader), "the server is trusted again", 30)
    assert reader.get_many(KEYS) == present
    servers[1].kill()
    assert reader.get_many(KEYS) == present


def test_a_paused_server_does_nothing_late_and_learns_what_it_missed(
    servers: list[Server], open_cache: Open
) -> None:
    """Broken if a write that waited in a paused server's socket becomes the newest, or a delete is undone."""
    cache = open_cache(deadline=0.4)
    cache.set_many(VALUES)
    wait_until(lambda: _is_up(cache), "all servers are up", 30)
    mine = next(key for key in KEYS if cache.owners(key)[0] == f"127.0.0.1:{servers[0].port}/0")
    servers[0].pause()
    for _ in range(3):
        assert cache.set(mine, "given up")
    assert cache.set(mine, "last")
    servers[0].resume()
    assert cache.get(mine) == "last"
    wait_until(lambda: _is_up(cache), "the server is trusted again", 30)
    assert open_cache(servers[0], replicas=1).get(mine) == "last"
    assert cache.get(mine) == "last"


@pytest.mark.parametrize("later", ["deleted", "replaced"])
def test_a_repair_that_comes_after_a_newer_write_is_refused(
    servers: list[Server], open_cache: Open, monkeypatch: pytest.MonkeyPatch, later: str
) -> None:
    """Broken if a reader that saw a key before it was deleted or replaced brings the old value back."""
    cache, other = open_cache(), open_cache()
    cache.set("key", "old")
    wait_until(lambda: _is_up(cache) and _is_up(other), "all servers are up", 30)
    first = next(server for server in servers if cache.owners("key")[0] == f"127.0.0.1:{server.port}/0")
    with first.client() as client:
        assert client.delete(cache.keys.entry("key")) == 1
    repairs = []

    def write_then_repair(batches: Mapping[Shard, Sequence[Command]], seconds: float) -> dict[Shard, Replies]:
        if any(command[0] == "EVALSHA" for commands in batches.values() for command in commands):
            repairs.append(batches)
            assert other.delete("key") if later == "deleted" else other.set("key", "new")
        return exchange(batches, seconds)

    monkeypatch.setattr(reading, "exchange", write_then_repair)
    assert cache.get("key") == "old"
    monkeypatch.undo()
    assert len(repairs) == 1
    present = None if later == "deleted" else "new"
    assert (cache.get("key"), other.get("key"), open_cache().get("key")) == (present,) * 3


@pytest.mark.timing
def test_no_server_is_a_miss_within_the_deadline_logged_once(
    servers: list[Server], open_cache: Open, caplog: pytest.LogCaptureFixture
) -> None:
    """Broken if the cache being down fails its callers, keeps them waiting or floods their log."""
    cache = open_cache()
    cache.set_many(VALUES)
    for server in servers:
        server.pause()
    with caplog.at_level(logging.WARNING):
        for _ in range(8):
            began = time.monotonic()
            assert cache.get_many(KEYS[:5]) == {}
            assert time.monotonic() - began < 1.5 * DEADLINE
        assert not cache.set("key", 1)
        assert not cache.delete("key")
        assert cache.get_or_compute("key", lambda: "computed") == "computed"
    for server in servers:
        server.resume()
    assert cache.figures.errors > 0
    logged = [record.getMessage() for record in caplog.records if "is left out" in record.getMessage()]
    assert len(logged) == len({line.split()[2] for line in logged}) > 0
    wait_until(lambda: _is_up(cache), "the servers come back by themselves", 30)
    assert cache.get_many(KEYS) == VALUES


def test_a_server_that_refuses_writes_is_logged_once_until_it_takes_them(
    servers: list[Server], open_cache: Open, caplog: pytest.LogCaptureFixture
) -> None:
    """Broken if nobody hears of a full or read-only server because it still answers whoever reads."""
    caplog.set_level(logging.INFO, "switchyard.cache.refusals")
    cache = open_cache(servers[0])
    assert cache.set("a", 1)
    with closing(servers[0].client()) as client:
        client.config_set("maxmemory", 1)
        for number in range(5):
            assert not cache.set("a", number)
            assert cache.get("a") == 1
        assert cache.figures.errors >= 5
        client.config_set("maxmemory", 0)
    wait_until(lambda: cache.set("a", 2), "the server is tried again")
    refused, taken = (record.getMessage() for record in caplog.records)
    assert "refuses" in refused
    assert "maxmemory" in refused
    assert "takes writes again" in taken
