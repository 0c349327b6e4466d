"""A user's typed project, checked by mypy with the wheel as the only Switchyard."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.packaging.conftest import Environment
from tests.support.nodes import ROOT

PAGE = ROOT / "docs" / "typing.md"
#: Lines that end the project on the page, each with what mypy must say of it.
MISTAKES = {
    "switchyard.Settings(leas=10)": 'argument "leas" for "Settings"; did you mean "lease"?',
    "switchyard.Settings(lease='long')": 'Argument "lease" to "Settings" has incompatible type "str"',
    "switchyard.Settings().lease = 3": "read-only",
    "switchyard.Rule(tusk='a')": 'Unexpected keyword argument "tusk" for "Rule"',
    "reports.node = 'a'": "read-only",
    "switchyard.install(app, settings={})": 'Argument "settings" to "install" has incompatible type',
    "switchyard.placement_options(lables={})": 'Unexpected keyword argument "lables"',
    "switchyard.placement_options(node=3)": 'Argument "node" to "placement_options" has incompatible type',
    "options: switchyard.PlacementOptions = {'overflow': 'no'}": 'TypedDict item "overflow"',
    "switchyard.cached_calls(price).forget()": '"CachedCalls" has no attribute "forget"',
    "switchyard.cached(ttl=3)": 'Missing named argument "key" for "cached"',
    "switchyard.exclusive('a', on_locked='wiat')": 'Argument "on_locked" to "exclusive" has incompatible',
    "switchyard.exclusive('a')(close_the_month)(3)": 'incompatible type "int"; expected "Cache"',
    "switchyard.cached(key='{customer}')(order)('x')": 'incompatible type "str"; expected "int"',
    "switchyard.lock('a', waits=3)": 'Unexpected keyword argument "waits" for "lock"',
    "switchyard.Election('a', on_gain=order).term + 1": 'Unsupported operand types for + ("None" and "int")',
    "switchyard.current_delivery().token": '"None" of "Delivery | None" has no attribute "token"',
    "switchyard.Cache('redis://a', replica=1)": 'Unexpected keyword argument "replica" for "Cache"',
    "strategy: switchyard.Strategy = object()": "Incompatible types in assignment",
}


def check(environment: Environment, folder: Path, project: str) -> str:
    """What ``mypy --strict`` says, with the wheel's environment as the project's own."""
    (folder / "shop.py").write_text(project)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--python-executable", environment.command("python"),
         "--config-file=", "--cache-dir", str(environment.folder / "mypy"), "shop.py"],
        cwd=folder, capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert not done.stderr, done.stderr
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder for the project."""
    made = tmp_path / "project"
    made.mkdir()
    return made


def project() -> str:
    """The project on the page."""
    (found,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return str(found)


def test_the_project_on_the_page_passes(environment: Environment, folder: Path) -> None:
    """Broken if a user's typed project gets errors from what the documents tell it to write."""
    said = check(environment, folder, project() + "\nreveal_type(switchyard.Settings)\n")
    assert "Success: no issues found" in said, said
    assert "lease: float =" in said, "mypy took Switchyard for untyped"
    command = [environment.command("python"), "-W", "error", "-c", project()]
    assert subprocess.run(command, cwd=folder, timeout=60, check=False).returncode == 0


def test_each_mistake_is_found(environment: Environment, folder: Path) -> None:
    """Broken if a type became Any on its way to the user, so that nothing is checked any more."""
    first = len(project().splitlines()) + 1
    said = check(environment, folder, project() + "\n".join(MISTAKES) + "\n")
    found = dict(re.findall(r"shop\.py:(\d+): error: (.*)", said))
    for number, (line, expected) in enumerate(MISTAKES.items(), start=first):
        assert expected in found.pop(str(number), ""), f"{line}\n{said}"
    assert not found
