"""What a node says of its own process, so that others can tell whether it lives."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest

from switchyard_workers import load
from tests.support.waiting import wait_until

HERE = load.machine()


def test_a_live_process_is_not_dead_whatever_the_clock_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken if a step of the machine's clock makes a healthy holder of a name seem another process."""
    mine = load.start_ticks(os.getpid())
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: 5.0)
    assert mine > 0
    assert not load.is_dead(HERE, os.getpid(), mine)
    assert not load.is_dead(HERE, os.getpid(), 0)


def test_a_process_that_got_the_id_of_another_is_not_that_one() -> None:
    """Broken if a node waits for the lease of a dead process because its id was given to somebody else."""
    assert load.is_dead(HERE, os.getpid(), load.start_ticks(os.getpid()) + 1)


def test_a_process_that_is_gone_or_not_reaped_yet_is_dead() -> None:
    """Broken if a worker that is restarted under its name waits for a lease that nobody renews."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    ticks = load.start_ticks(child.pid)
    wait_until(lambda: psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE, "the child has ended")
    assert load.is_dead(HERE, child.pid, ticks)
    child.wait()
    assert load.is_dead(HERE, child.pid, ticks)
    assert not load.is_dead("elsewhere", child.pid, ticks)
