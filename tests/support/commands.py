"""Commands as a shell runs them: processes of their own, to their end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.nodes import ROOT


def run(
    *arguments: str,
    program: str = "switchyard_workers.cli",
    cwd: Path = ROOT,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """One command, to its end."""
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore", **(env or {})}
    command = [sys.executable, "-m", program, *arguments]
    return subprocess.run(
        command, cwd=cwd, env=variables, capture_output=True, text=True, timeout=60, check=False
    )


def read(*arguments: str, code: int = 0, env: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """What a command with --json says."""
    done = run(*arguments, "--json", env=env)
    assert (done.returncode, done.stderr) == (code, "")
    listed: list[dict[str, Any]] = json.loads(done.stdout)
    return listed


def one_line(done: subprocess.CompletedProcess[str], code: int = 1) -> str:
    """The only line of a refusal."""
    assert (done.returncode, done.stdout) == (code, ""), done
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: ")
    return line
