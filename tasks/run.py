"""One run of the main job: a task for every file, a chord that merges them, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from celery import chord
from celery.result import AsyncResult

from tasks import app as application
from tasks.codebase import FileIndex, merge
from tasks.waiting import holds_within

#: Seconds for one run. It takes about 10 on two cores; what is not there after this is lost.
RUN_DEADLINE = 120.0


@dataclass(frozen=True, slots=True)
class Run:
    """What a run brought: wall time in seconds, tasks by node that ran them, the index; an error if any."""

    strategy: str
    seconds: float
    ran: Mapping[str, int]
    index: Mapping[str, FileIndex]
    error: str | None = None


def run(
    strategy: str,
    root: Path,
    paths: Sequence[str],
    tick: Callable[[], object],
    deadline: float = RUN_DEADLINE,
) -> Run:
    """Index ``paths`` on the cluster, each task placed by ``strategy``; ``tick`` runs while we wait.

    Files whose tasks fail, or are not done ``deadline`` seconds after the last was published, are missing
    in the index.
    """
    started = time.monotonic()
    result = _publish(strategy, root, paths)
    over = holds_within(deadline, result.ready, tick)
    return _gather(strategy, time.monotonic() - started, result, over)


def _publish(strategy: str, root: Path, paths: Sequence[str]) -> AsyncResult:
    placement = {"strategy": strategy}
    header = [application.index.s(str(root), path).set(placement=placement) for path in paths]
    return chord(header)(application.merge.s())


def _gather(strategy: str, seconds: float, result: AsyncResult, over: bool) -> Run:
    error = None
    if result.successful():
        merged = result.result
    else:
        merged = application.merge([part.result for part in result.parent.results if part.successful()])
        error = str(result.result) if over else f"not done after {seconds:.0f} s"
    files = merge(FileIndex.from_json(file) for file in merged["files"])
    return Run(strategy, seconds, merged["ran"], files, error)
