"""The examples of docs/testing.md, as the test suites of a user's project."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.nodes import ROOT

PAGE = ROOT / "docs" / "testing.md"
FILES = dict(re.findall(r"```python\n# ([\w/]+\.py)\n(.*?)```", PAGE.read_text(), re.DOTALL))
SUITES = sorted({Path(name).parts[0] for name in FILES if "/" in name})


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the files of the page."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def run(project: Path, suite: str) -> subprocess.CompletedProcess[str]:
    """Run one of the suites, in an environment that says nothing of ours."""
    env = {
        name: value for name, value in os.environ.items() if not name.startswith(("SWITCHYARD_", "PYTEST_"))
    }
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", suite],
        cwd=project, env=env | {"PYTHONPATH": str(project)},
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("suite", SUITES)
def test_the_suites_on_the_page_pass(project: Path, suite: str) -> None:
    """Broken if a user's test suite fails for Switchyard, or the page tells what is not so."""
    done = run(project, suite)
    tests = len(re.findall(r"^def test_", FILES[f"{suite}/test_shop.py"], re.MULTILINE))
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf"\b{tests} passed", done.stdout), done.stdout


def test_the_page_has_a_suite_of_each_kind() -> None:
    """Broken if a change of the page's format leaves nothing to run."""
    assert SUITES == ["eager", "memory", "server", "shared"]
