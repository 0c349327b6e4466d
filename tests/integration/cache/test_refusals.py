"""Whether a server takes no writes, told from what it answers to redis-py and to the ring's own link."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from redis import Redis
from redis.exceptions import RedisError

from switchyard.cache.refusals import is_refusal
from switchyard.cache.ring.link import Address
from tests.support import servers
from tests.support.servers import Server, free_port


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server whose settings nobody else needs."""
    with servers.running("valkey") as server:
        yield server


def is_full(admin: Redis) -> None:
    admin.config_set("maxmemory", 1)


def is_a_replica(admin: Redis) -> None:
    admin.replicaof("127.0.0.1", free_port())
    admin.config_set("replica-serve-stale-data", "yes")


def lacks_replicas(admin: Redis) -> None:
    admin.config_set("min-replicas-to-write", 1)


def lets_nobody_write(admin: Redis) -> None:
    admin.acl_setuser("default", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-set"])


def redis_pys_answer(server: Server, *command: str) -> object:
    client = server.client()
    try:
        return client.execute_command(*command)
    except RedisError as exc:
        return exc
    finally:
        client.close()


def links_answer(server: Server, *command: str) -> object:
    until = time.monotonic() + 10
    link = Address(server.url()).connect(until)
    try:
        link.send([command], until)
        return link.read(1, until)[0]
    except RedisError as exc:
        return exc
    finally:
        link.close()


@pytest.mark.parametrize("answer", [redis_pys_answer, links_answer])
@pytest.mark.parametrize("state", [is_full, is_a_replica, lacks_replicas, lets_nobody_write])
def test_a_server_that_takes_no_writes_is_told_from_one_that_fails(
    own_server: Server, state: Callable[[Redis], None], answer: Callable[..., object]
) -> None:
    """Broken if nobody is told which server refuses writes, or if any error of a command counts as that."""
    assert not is_refusal(answer(own_server, "SET", "key", "value"))
    assert not is_refusal(answer(own_server, "LPUSH", "key", "value"))
    admin = own_server.client()
    state(admin)
    admin.close()
    assert is_refusal(answer(own_server, "SET", "key", "value"))
