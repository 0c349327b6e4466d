"""A short chaos of locks and elections with a seed, on every change, and the judge on its own."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from tests.chaos.locks import judge
from tests.chaos.locks.crew import Hit
from tests.chaos.locks.ledger import Event
from tests.chaos.machines import processes

TTL = 2.0


@pytest.mark.timeout(120)
def test_locks_and_elections_keep_their_guarantees() -> None:
    """Some fault would let two in, block for longer than a ttl, or bring callbacks out of order."""
    options = ["--seconds", "6", "--processes", "6", "--ttl", "2", "--seed", "5"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos.locks", *options],
        cwd=processes.ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def hold(pid: int, token: int, start: float, *, asked: float | None = None) -> list[Event]:
    """One that asks, enters, writes and leaves a second later."""
    return [
        Event("ask", pid, 0, start if asked is None else asked),
        Event("enter", pid, token, start),
        Event("write", pid, token, start + 0.9),
        Event("leave", pid, token, start + 1),
    ]


def in_order(*groups: list[Event]) -> list[Event]:
    return sorted((event for group in groups for event in group), key=lambda event: event.at)


def test_the_judge_sees_two_holders() -> None:
    """A run in which two hold the lock would pass."""
    events = in_order(hold(1, 5, 10), hold(2, 6, 10.5))
    assert judge.of_locks(events, [], TTL).violations
    paused = judge.of_locks(events, [Hit("stop", 1, 10.1, 10.8)], TTL)
    assert any("late write was accepted" in violation for violation in paused.violations)
    refused = [replace(e, ok=False) if (e.kind, e.pid) == ("write", 1) else e for e in events]
    assert judge.of_locks(refused, [Hit("stop", 1, 10.1, 10.8)], TTL).violations == []


def test_the_judge_sees_a_counter_that_goes_back_a_shared_token_and_an_overtaker() -> None:
    """What must hold would be checked by nobody."""
    back = [Event("back", 1, 5, 10.0)]
    assert judge.of_locks(back, [], TTL).violations
    assert judge.of_locks(in_order(hold(1, 5, 10), hold(2, 5, 20)), [], TTL).violations
    overtaken = in_order(hold(1, 6, 20, asked=10), hold(2, 5, 15, asked=12))
    assert judge.of_locks(overtaken, [], TTL).violations
    assert judge.of_locks(overtaken, [Hit("stop", 1, 11, 12)], TTL).violations == []


def test_the_judge_sees_a_dead_holder_that_blocks() -> None:
    """A lock that stays taken for longer than its ttl and a second would pass."""
    dead = [Event("ask", 1, 0, 9), Event("enter", 1, 5, 10)]
    hits = [Hit("kill", 1, 10.5)]
    assert judge.of_locks(in_order(dead, hold(2, 6, 13)), hits, TTL).violations == []
    assert judge.of_locks(in_order(dead, hold(2, 6, 14)), hits, TTL).violations


def test_the_judge_sees_two_leaders_and_callbacks_out_of_turn() -> None:
    """An election that lets two lead would pass."""
    fine = [
        Event("gain", 1, 5, 10),
        Event("act", 1, 5, 11),
        Event("loss", 1, 5, 12),
        Event("gain", 2, 6, 12.5),
    ]
    assert judge.of_elections(fine, [], TTL).violations == []
    late = [*fine, Event("act", 1, 5, 13)]
    assert judge.of_elections(late, [Hit("partition", 1, 10.5, 13)], TTL).violations
    assert judge.of_elections([*fine, Event("gain", 2, 7, 13)], [], TTL).violations
    assert judge.of_elections([*fine, Event("gain", 3, 6, 13)], [], TTL).violations
