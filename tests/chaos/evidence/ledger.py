"""What really happened, written apart from the broker: one append-only file per writing process.

Every line is one ``write`` on a descriptor opened with O_APPEND: what was written survives a SIGKILL.
Times are CLOCK_MONOTONIC seconds, which all processes of one machine share.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Publish:
    """One call of apply_async; ``acked`` is when it returned, None if it never did."""

    task: str
    asked: float
    acked: float | None


@dataclass(frozen=True, slots=True)
class Run:
    """One start of a task on a node, by the process ``pid``; ``end`` is None if it never came to one."""

    task: str
    node: str
    pid: int
    start: float
    end: float | None


class Writer:
    """Appends lines to a file of this process's own, also after a fork."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self._pid = 0
        self._file = -1
        self._numbers = itertools.count()

    def attempt(self) -> str:
        """A number that no other attempt of this process has."""
        return str(next(self._numbers))

    def write(self, *fields: str) -> None:
        """Append one line: the fields and the time."""
        pid = os.getpid()
        if pid != self._pid:
            path = self._folder / f"{self._name}.{pid}.ledger"
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            self._pid = pid
        os.write(self._file, " ".join((*fields, f"{time.monotonic():.6f}\n")).encode())


def runs(folder: Path) -> list[Run]:
    """Every start that the workers noted, with its end, in the order of the starts."""
    found: list[Run] = []
    for path in folder.glob("*.ledger"):
        begun: dict[str, tuple[str, str, float]] = {}
        pid = int(path.name.split(".")[-2])
        for task, node, attempt, event, at in _lines(path, 5):
            if event == "start":
                begun[attempt] = (task, node, float(at))
            else:
                started = begun.pop(attempt)
                found.append(Run(started[0], started[1], pid, started[2], float(at)))
        found += [Run(task, node, pid, start, None) for task, node, start in begun.values()]
    return sorted(found, key=lambda run: run.start)


def publishes(folder: Path) -> list[Publish]:
    """Every publish that the producers noted."""
    asked: dict[str, float] = {}
    acked: dict[str, float] = {}
    for path in folder.glob("*.ledger"):
        for task, event, at in _lines(path, 3):
            (asked if event == "asked" else acked)[task] = float(at)
    return [Publish(task, at, acked.get(task)) for task, at in asked.items()]


def _lines(path: Path, fields: int) -> Iterator[list[str]]:
    """Whole lines only: the last may still be on its way."""
    for line in path.read_text().splitlines(keepends=True):
        parts = line.split()
        if line.endswith("\n") and len(parts) == fields:
            yield parts
