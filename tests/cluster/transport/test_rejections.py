"""Tasks that ask to be delivered again, many at once, on every pool."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
from celery import Celery

from tests.support.nodes import claims_of, worker
from tests.support.servers import Server
from tests.support.waiting import wait_until

#: Pools, their slots, and how many tasks: solo runs them one after the other.
POOLS = [("gevent", 40, 300), ("eventlet", 40, 300), ("threads", 8, 120), ("prefork", 2, 60), ("solo", 1, 30)]
#: Connections over which a node may run our operations, with those of the test. Results have their own.
CONNECTIONS = 12


def connections_of_ours(server: Server) -> int:
    """How many connections ran one of our operations last."""
    return sum(client["cmd"] in ("eval", "evalsha") for client in server.client().client_list())


@pytest.mark.parametrize(("pool", "slots", "tasks"), POOLS, ids=[pool for pool, _, _ in POOLS])
def test_many_that_reject_themselves_at_once_all_come_to_an_end(
    app: Celery, clean_valkey: Server, tmp_path: Path, pool: str, slots: int, tasks: int
) -> None:
    """Broken if two that are given back at once end the node, or each of them opens a connection."""
    if pool == "eventlet" and find_spec("eventlet") is None:
        pytest.skip("eventlet is not installed")
    with worker(clean_valkey, tmp_path, pool=pool, slots=slots) as node:
        results = [app.tasks["again"].delay(2) for _ in range(tasks)]
        most = 0
        for result in results:
            assert result.get(timeout=60) == 3
            most = max(most, connections_of_ours(clean_valkey))
        wait_until(lambda: claims_of(clean_valkey, "n1") == 0, "every claim is settled")
        assert node.process.poll() is None
        assert "ERROR" not in node.text()
        assert "CRITICAL" not in node.text()
        assert most < CONNECTIONS
