"""What the cluster's state raises over the broker's own connections while its server takes no writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from switchyard import Settings
from switchyard.adapters.redis_refusals import RefusedForNow
from switchyard.cluster.buried import Buried
from switchyard.cluster.state import State
from switchyard.models import Placement, Tick
from switchyard.transport.opening import open_state
from tests.support import servers

_OPERATIONS: dict[str, Callable[[State], object]] = {
    "register": lambda state: state.register("b", "b-1", 1000, ["q"], {}),
    "renew": lambda state: state.renew("a", "1", 1000, ["q"], {}),
    "drain": lambda state: state.drain("a"),
    "resume": lambda state: state.resume("c"),
    "hand_back": lambda state: state.hand_back("a", "1", ["other"]),
    "reap": lambda state: state.reap("a", 5, "1"),
    "place": lambda state: state.place(Placement((), True), "q", ["q"], 0, "m"),
    "claim": lambda state: state.claim("a", "1", 1, ["q"], [["q"]]),
    "settle": lambda state: state.settle("a", "1", ["1"]),
    "acknowledge": lambda state: state.acknowledge("a", "1", ["1"]),
    "release": lambda state: state.release("a", "1", [("1", "")]),
    "crash": lambda state: state.crash("a", "1", "1", "", 5),
    "bury": lambda state: state.bury("a", "1", "1", "why"),
    "ring": lambda state: state.ring("a"),
    "requeue": lambda state: state.requeue(state.dead_receipts()[0]),
    "discard": lambda state: state.discard(state.dead_receipts()[0]),
    "requeue_each": lambda state: state.requeue_each(state.dead_receipts()),
    "discard_each": lambda state: state.discard_each(state.dead_receipts()),
    "mark": lambda state: state.mark(Tick("entry", 1, 2)),
    "may_announce": lambda state: state.may_announce("1"),
    "announced": lambda state: state.announced("1"),
    "purge": lambda state: state.purge(["q"]),
}


@pytest.fixture(scope="module")
def state() -> Iterator[State]:
    """A node with one claim, of an epoch that is set by hand; the server takes no more writes."""
    with servers.redis_server(servers.free_port(), []) as server:
        state = open_state(server.url(), Settings())
        state.register("a", "a-1", 60_000, ["q"], {"limit": 9})
        state.client.hset(state.keys.node("a"), "epoch", "1")
        state.register("c", "c-1", 60_000, ["q"], {})
        state.drain("c")
        state.client.lpush("q", "x", "y", "z")
        _, dead = state.claim("a", "1", 2, ["q"], [["q"]]).claims
        state.bury("a", "1", dead.receipt, "a test")
        claims = state.client.hgetall(state.keys.claims("a"))
        state.client.hset(state.keys.claims("a"), "1", next(iter(claims.values())))
        state.place(Placement(("a",), False), "q", ["q"], 0, "placed")
        state.client.config_set("min-replicas-to-write", 1)
        yield state
        state.client.close()


@pytest.mark.parametrize("name", _OPERATIONS)
def test_every_operation_that_writes_says_try_again(state: State, name: str) -> None:
    """Broken if whoever runs this operation takes the server's state for a fault of its own, and gives up."""
    with pytest.raises(RefusedForNow, match="NOREPLICAS"):
        _OPERATIONS[name](state)


def test_every_operation_that_changes_the_cluster_is_among_them() -> None:
    """Broken if a new one is left out above."""
    changes = {name for name in {**vars(State), **vars(Buried)} if not name.startswith("_")}
    assert changes == {*_OPERATIONS}
