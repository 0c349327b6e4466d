"""The bulkhead: callers leave at their deadline, and what is stuck is bounded."""

from __future__ import annotations

import threading

from switchyard.cache.redis_cluster.bulkhead import THREADS, Bulkhead, NotBegunError
from switchyard.cache.store import Deadline
from tests.support.waiting import wait_until

#: Seconds that a call may take before it counts as stuck.
SOON = 0.05


def test_a_caller_gets_what_each_call_returned_or_raised() -> None:
    """Broken if one node's failure hides what another node answered."""
    bulkhead = Bulkhead()
    outcomes = bulkhead.run({"good": lambda: 7, "bad": lambda: 1 // 0}, Deadline.after(10))
    assert outcomes["good"] == 7
    assert isinstance(outcomes["bad"], ZeroDivisionError)
    bulkhead.close()


def test_stuck_calls_hold_no_caller_and_what_had_to_wait_for_them_is_never_made() -> None:
    """Broken if callers queue behind a server that hangs, or a write is done long after it was given up."""
    bulkhead, free, late = Bulkhead(), threading.Event(), threading.Event()
    begun: list[str] = []
    ended: list[bool] = []

    def stuck() -> None:
        begun.append("stuck")
        ended.append(free.wait(60))

    def all_are_stuck() -> bool:
        outcome = bulkhead.run({"server": stuck}, Deadline.after(SOON))["server"]
        assert isinstance(outcome, TimeoutError)
        return len(begun) == THREADS

    wait_until(all_are_stuck, "no thread is left")
    assert isinstance(bulkhead.run({"server": late.set}, Deadline.after(SOON))["server"], NotBegunError)
    free.set()
    wait_until(lambda: len(ended) == THREADS, "the stuck calls end")
    assert bulkhead.run({"server": lambda: "answered"}, Deadline.after(10)) == {"server": "answered"}
    assert not late.is_set()
    bulkhead.close()


def test_a_server_that_hangs_takes_no_thread_from_the_others() -> None:
    """Broken if one paused node makes all the others look silent."""
    bulkhead, free = Bulkhead(), threading.Event()
    for _ in range(2 * THREADS):
        bulkhead.run({"hangs": lambda: free.wait(60)}, Deadline.after(0))
    assert bulkhead.run({"well": lambda: "answered"}, Deadline.after(10)) == {"well": "answered"}
    free.set()
    bulkhead.close()


def test_a_closed_one_is_a_failure_to_count_not_an_error() -> None:
    """Broken if a call during the end of a process raises."""
    bulkhead = Bulkhead()
    bulkhead.run({"first": lambda: 1}, Deadline.after(10))
    bulkhead.close()
    assert isinstance(bulkhead.run({"late": lambda: 1}, Deadline.after(10))["late"], NotBegunError)
