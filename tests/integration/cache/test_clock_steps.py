"""The server's clock steps: the cache serves and forgets again soon after."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from switchyard import Cache
from tests.integration.clocks import SteppedServer, stepped_server
from tests.support.waiting import wait_until

HOUR = 3600.0


@pytest.fixture
def server() -> Iterator[SteppedServer]:
    with stepped_server() as server:
        yield server


@pytest.mark.parametrize("seconds", [HOUR, -HOUR])
def test_it_keeps_and_forgets_again_soon_after_a_step(server: SteppedServer, seconds: float) -> None:
    """Broken if every write comes too late by the new clock, or what is written then outlives its time."""
    cache = Cache([server.url()], deadline=1.0)
    assert cache.set("before", 1, ttl=60)
    server.step(seconds)

    def kept() -> bool:
        return cache.set("after", 2, ttl=1) and cache.get("after") == 2

    wait_until(kept, "the cache keeps what it is given", timeout=10)
    wait_until(lambda: cache.get("after") is None, "it is forgotten", timeout=10)
    cache.delete("before")
    assert cache.get("before") is None
    cache.close()
