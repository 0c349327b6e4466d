"""What a chaos run writes down, and what it plans: no server, no process."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.chaos.evidence import ledger, observe
from tests.chaos.evidence.ledger import Writer
from tests.chaos.evidence.verdict import Hit
from tests.chaos.machines.aof import Growth
from tests.chaos.run import drive, faults, plan
from tests.chaos.run.endings import Endings
from tests.chaos.run.faults import Later
from tests.chaos.run.plan import KILLS, OFFERED, Fault, Kind


def _kill(node: str = "n0", at: float = 2.5, kind: Kind = Kind.KILL_NODE, **more: object) -> Hit:
    return Hit(kind, node, at, at, slots=1, **more)  # type: ignore[arg-type]


def test_the_ledger_gives_back_what_was_written(tmp_path: Path) -> None:
    """Broken if the judge judges something else than what happened."""
    writer = Writer(tmp_path, "n0")
    first, second = writer.attempt(), writer.attempt()
    for task, attempt, event in (("a", first, "start"), ("b", second, "start"), ("a", first, "end")):
        writer.write(task, "n0", attempt, event)
    done, open_ = ledger.runs(tmp_path)
    assert (done.task, open_.task, open_.end) == ("a", "b", None)
    assert done.end is not None
    assert done.end >= open_.start >= done.start


def test_half_a_line_is_not_read(tmp_path: Path) -> None:
    """Broken if a process that was killed while it wrote breaks the judge."""
    (tmp_path / "n0.1.ledger").write_text("a n0 0 start 1.0\na n0 0 end 2.")
    assert [run.end for run in ledger.runs(tmp_path)] == [None]


def test_only_answered_publishes_are_acknowledged(tmp_path: Path) -> None:
    """Broken if a publish that a kill cut short counts as a promise."""
    writer = Writer(tmp_path, "p0")
    for line in (("a", "asked"), ("a", "acked"), ("b", "asked")):
        writer.write(*line)
    found = {publish.task: publish.acked is not None for publish in ledger.publishes(tmp_path)}
    assert found == {"a": True, "b": False}


def test_a_task_is_found_in_everything_that_redis_holds() -> None:
    """Broken if a task that is still in Redis is called lost, for its entry has another form."""
    message = json.dumps({"body": "W10=", "headers": {"id": "t"}})
    entries = [message, f"6:celery{message}", f"12:6:celery{message}", json.dumps([{"headers": {"id": "t"}}])]
    assert [observe.task_of(entry.encode()) for entry in entries] == ["t"] * 4


def test_a_seed_decides_the_plan() -> None:
    """Broken if a failure cannot be repeated."""
    plans = [plan.draw(seed, OFFERED, 3, 2.0, 1.0, 60.0, 0) for seed in (1, 1, 2)]
    assert plans[0] == plans[1] != plans[2]


def test_a_plan_ends_with_its_last_kill() -> None:
    """Broken if a plan that ends early is called complete."""
    drawn = plan.draw(1, OFFERED, 3, 2.0, 1.0, 1e6, 7)
    assert sum(fault.kind in KILLS for fault in drawn.faults) == 7
    assert drawn.faults[-1].kind in KILLS
    assert drawn.kills == 7


def test_a_fault_waits_for_a_victim_and_puts_off_what_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kills that come faster than nodes start would hit nobody."""
    bed = SimpleNamespace(hits=[_kill()], skipped=[])
    said: list[str] = []
    tried: list[tuple[float, float]] = []

    def inflict(_bed: object, fault: Fault) -> None:
        tried.append((fault.at, time.monotonic()))
        if len(tried) < 3:
            raise faults.NobodyToHit

    monkeypatch.setattr(faults, "inflict", inflict)
    monkeypatch.setattr(drive, "_CALM", 0.0)
    both = tuple(Fault(at, Kind.KILL_NODE, (0,), 0.0, 0.0) for at in (0.0, 0.2))
    drive.inflict(bed, plan.Plan(1, 0.2, both), said.append)  # type: ignore[arg-type]
    assert [at for at, _ in tried] == [0.0, 0.0, 0.0, 0.2]
    assert tried[3][1] - tried[2][1] >= 0.2
    assert (len(said), bed.skipped) == (2, [])


def test_a_plan_ends_when_nobody_is_left_to_hit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster that does not come back would be waited for at every fault of hundreds."""
    bed = SimpleNamespace(hits=[], skipped=[])
    said: list[str] = []

    def inflict(_bed: object, _fault: Fault) -> None:
        raise faults.NobodyToHit

    monkeypatch.setattr(faults, "inflict", inflict)
    monkeypatch.setattr(drive, "_CALM", 0.0)
    monkeypatch.setattr(drive, "_PATIENCE", 0.3)
    both = tuple(Fault(at, kind, (0,), 0.0, 0.0) for at, kind in ((0.0, Kind.TERM), (60.0, Kind.PAUSE)))
    drive.inflict(bed, plan.Plan(1, 0.0, both), said.append)  # type: ignore[arg-type]
    assert bed.skipped == [Kind.TERM, Kind.PAUSE]
    assert "nobody to hit" in said[0]


@pytest.mark.timing
def test_what_ends_a_fault_is_done_in_the_order_of_time() -> None:
    """Broken if a paused process is woken, or a network healed, at another time than planned."""
    done: list[str] = []
    endings = Endings()

    def twice() -> Later:
        done.append("first")
        return Later(0.02, lambda: done.append("again"))

    endings.add(Later(0.2, lambda: done.append("last")))
    endings.add(Later(0.01, twice))
    endings.sleep_until(time.monotonic() + 0.1)
    assert done == ["first", "again"]
    endings.finish()
    assert done == ["first", "again", "last"]


@pytest.mark.timing
def test_a_crash_takes_only_the_end_of_the_file(tmp_path: Path) -> None:
    """More than the last second would be cut, and tasks be called lost that a disk would have had."""
    file = tmp_path / "appendonly.aof"
    file.write_bytes(b"old,")
    growth = Growth(tmp_path)
    time.sleep(0.3)
    with file.open("ab") as out:
        out.write(b"new")
    at = time.monotonic()
    time.sleep(0.1)
    growth.stop()
    assert growth.forget(0.2, at) == 3
    assert file.read_bytes() == b"old,"
