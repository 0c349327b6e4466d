"""A short run of tests/chaos/cache.py with a seed, on every change."""

from __future__ import annotations

import pytest

from tests.chaos import cache


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_no_caller_sees_a_server_die() -> None:
    """Broken if a caller gets an exception, or if the cache is of no use while a server is away."""
    outcome = cache.run(cache.Wishes(clients=4, kills=1, seconds=2.0, seed=3), print)
    print(cache.table(outcome))
    assert outcome.errors == []
    reads = [call for call in outcome.phases["during"] if call.hits + call.misses]
    assert sum(call.hits for call in reads) > sum(call.misses for call in reads)
