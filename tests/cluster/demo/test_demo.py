"""The main job as a user runs it: real nodes, real files, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.support.nodes import ROOT
from tests.support.waiting import wait_until

#: Seconds: the demo gives its nodes 90 to start, which a machine with much else to do needs.
pytestmark = pytest.mark.timeout(240)
#: A multiple of the number of nodes, so that taking turns gives each the same.
FILES = 12
_NODES = 3


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Some files of Python, one of them broken."""
    source = tmp_path / "source"
    source.mkdir()
    for number in range(FILES - 1):
        (source / f"module{number}.py").write_text(f"import os\n\n\ndef f():\n    return {number}\n" * 50)
    (source / "broken.py").write_text("def broken(:\n")
    return source


@contextmanager
def demo(tmp_path: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """The demo as a terminal starts it: the leader of a process group, which a Ctrl-C reaches as a whole."""
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "tasks.demo", *options],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(scratch), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,
    )
    try:
        yield process
    finally:
        for left in [*_children(process.pid), *_alive(process.pid)]:
            left.kill()
        process.communicate(timeout=10)


def test_indexes_a_folder_and_verifies_the_result(folder: Path, tmp_path: Path) -> None:
    """The main job would lose a file, name the wrong node, or claim success that it did not check."""
    with demo(tmp_path, "--path", str(folder), "--strategies", "round_robin,least_load") as process:
        output, _ = process.communicate(timeout=200)
    assert process.returncode == 0, output
    lines = output.splitlines()
    assert lines[-1] == f"{FILES} of {FILES} files, 0 lost, results verified", output
    assert _ran(lines, "small")[0] == _ran(lines, "medium")[0] == _ran(lines, "large")[0] == FILES // _NODES
    assert sum(_ran(lines, name)[1] for name in ("small", "medium", "large")) == FILES
    assert list((tmp_path / "tmp").iterdir()) == []


def test_ctrl_c_leaves_nothing_behind(folder: Path, tmp_path: Path) -> None:
    """Nodes or the server would run on after a Ctrl-C, or their files would stay."""
    with demo(tmp_path, "--path", str(folder), "--strategies", ",".join(["random"] * 50)) as process:
        assert process.stdout is not None
        assert any("random:" in line for line in process.stdout), "the demo never got to its first run"
        children = _children(process.pid)
        assert len(children) > _NODES
        os.killpg(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=40)
        assert process.returncode == 130, output
        assert "Traceback" not in output
        wait_until(lambda: not any(map(_runs, children)), "every child is gone", timeout=5)
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_node_that_ends_by_itself_is_a_failure(folder: Path, tmp_path: Path) -> None:
    """The demo would wait in vain for a node, or call the rest a success, and hide the log that says why."""
    with demo(tmp_path, "--path", str(folder), "--strategies", ",".join(["random"] * 50)) as process:
        assert process.stdout is not None
        assert any("random:" in line for line in process.stdout), "the demo never got to its first run"
        children = _children(process.pid)
        next(child for child in children if "small@%h" in child.cmdline()).kill()
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 1, output
        assert "node small ended with exit code -9" in output
        wait_until(lambda: not any(map(_runs, children)), "every child is gone", timeout=5)
    assert [log.name for log in sorted((tmp_path / "tmp").glob("switchyard-demo-*/*.log"))] == [
        "large.log",
        "medium.log",
        "small.log",
    ]


def test_an_unknown_strategy_is_wrong_use(folder: Path, tmp_path: Path) -> None:
    """A misspelt strategy would cost a minute before it is found."""
    with demo(tmp_path, "--path", str(folder), "--strategies", "least_laod") as process:
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 2, output
    assert "least_laod" in output


def test_a_folder_without_python_is_wrong_use(tmp_path: Path) -> None:
    """A misspelt path would end in '0 of 0 files, results verified'."""
    with demo(tmp_path, "--path", str(tmp_path / "nowhere")) as process:
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 2, output
    assert "nowhere" in output


def _ran(lines: list[str], node: str) -> list[int]:
    """The figures of a node's row in the table at the end, without its slots."""
    row = next(line for line in lines if line.startswith("│ " + node))
    return [int(cell.strip().replace(",", "")) for cell in row.strip("│").split("│")[2:]]


def _children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _alive(pid: int) -> list[psutil.Process]:
    return [psutil.Process(pid)] if psutil.pid_exists(pid) else []


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
