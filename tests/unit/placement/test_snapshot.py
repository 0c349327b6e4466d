"""The producer's view of the nodes: who reads it, and that nobody waits for that."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from switchyard.models import Node, Selector
from switchyard.placement.snapshot import READ_PATIENCE_S, Cluster

NODES = [Node("a", queues=frozenset(["q"]))]
EVERYWHERE = Selector()


def stuck(cluster: Cluster, pool: ThreadPoolExecutor) -> threading.Event:
    """A thread of the pool reads the nodes until the event that is returned is set."""
    reading, over = threading.Event(), threading.Event()

    def read() -> list[Node]:
        reading.set()
        assert over.wait(20)
        return NODES

    pool.submit(cluster.refresh, read)
    assert reading.wait(20)
    return over


def test_a_silent_connection_holds_the_thread_that_reads_and_no_other() -> None:
    """Broken if one silent connection stops every thread of a producer, one after the other."""
    cluster = Cluster(refresh=0.0)
    cluster.refresh(lambda: NODES)
    with ThreadPoolExecutor(1) as pool:
        over = stuck(cluster, pool)
        cluster.refresh(lambda: pytest.fail("a second thread asks as well"))
        assert cluster.serving("q", EVERYWHERE) == NODES
        over.set()


def test_a_reader_that_never_comes_back_is_not_waited_for() -> None:
    """Broken if a thread that is stuck for good leaves all others with what they knew at that time."""
    now = [0.0]
    cluster = Cluster(refresh=1.0, clock=lambda: now[0])
    with ThreadPoolExecutor(1) as pool:
        over = stuck(cluster, pool)
        now[0] = READ_PATIENCE_S
        cluster.refresh(lambda: NODES)
        assert cluster.serving("q", EVERYWHERE) == NODES
        over.set()


def test_a_refused_read_is_raised_and_the_next_one_reads_again() -> None:
    """Broken if one error of the server leaves a producer without nodes for ever."""
    cluster = Cluster(refresh=1.0)

    def refused() -> list[Node]:
        raise ConnectionError("as asked")

    with pytest.raises(ConnectionError):
        cluster.refresh(refused)
    cluster.refresh(lambda: NODES)
    assert cluster.serving("q", EVERYWHERE) == NODES


@pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning")
def test_a_child_that_was_forked_while_a_thread_read_goes_on() -> None:
    """Broken if a child hangs for a lock that a thread of its parent held: 4 of 60 did."""
    cluster = Cluster(refresh=0.0)
    with ThreadPoolExecutor(1) as pool:
        over = stuck(cluster, pool)
        child = os.fork()
        if child == 0:
            cluster.refresh(lambda: NODES)
            cluster.expect(["a"])
            os._exit(0)
        _, status = os.waitpid(child, 0)
        over.set()
    assert os.waitstatus_to_exitcode(status) == 0
