"""What the tests of this folder share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import switchyard
from tests.chaos.machines.servers import Server

Open = Callable[..., switchyard.Cache]


#: Seconds; far more than a call takes on a busy machine.
DEADLINE = 1.0


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[list[Server]]:
    """Three servers to be broken."""
    servers = [Server(tmp_path / str(number), []) for number in range(3)]
    for server in servers:
        server.start()
    yield servers
    for server in servers:
        server.kill()


@pytest.fixture
def open_cache(servers: list[Server]) -> Iterator[Open]:
    """Opens caches on the servers, or on some of them, and closes them."""
    opened: list[switchyard.Cache] = []

    def open_(*some: Server, **options: float) -> switchyard.Cache:
        urls = [server.url for server in some or servers]
        opened.append(switchyard.Cache(urls, **{"deadline": DEADLINE, **options}))  # type: ignore[arg-type]
        return opened[-1]

    yield open_
    for cache in opened:
        cache.close()
