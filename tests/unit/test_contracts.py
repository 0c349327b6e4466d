"""The rooms' contracts in pyproject.toml forbid what they say they forbid: tried on a copy."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("scheduler", "workers", "tasks")
#: What is written into a module of the copy, and what must be found there.
FORBIDDEN = {
    "scheduler/switchyard/cluster/layout.py": "celery",
    "scheduler/switchyard/placement/placer.py": "celery",
    "scheduler/switchyard/strategies/least_load.py": "celery",
    "scheduler/switchyard/cache/near/memory.py": "celery",
    "workers/switchyard_workers/agent.py": "celery",
    "scheduler/switchyard/settings.py": "kombu",
    "scheduler/switchyard/models.py": "redis",
    "scheduler/switchyard/transport/delivery.py": "flower",
    "scheduler/switchyard/coordination/lock.py": "redbeat",
    "scheduler/switchyard/cluster/keys.py": "switchyard.placement.placer",
    "scheduler/switchyard/placement/snapshot.py": "switchyard.cluster.state",
    "scheduler/switchyard/strategies/random.py": "switchyard.settings",
    "scheduler/switchyard/adapters/kombu_redis/channel.py": "switchyard.transport.channel",
    "scheduler/switchyard/errors.py": "switchyard.models",
    "scheduler/switchyard/flower/pages.py": "switchyard.beat.plan",
    "scheduler/switchyard/signatures.py": "celery",
    "scheduler/switchyard/coordination/hold.py": "celery",
    "scheduler/switchyard/beat/plan.py": "flower",
    "scheduler/switchyard/flower/sampler.py": "redbeat",
    "workers/switchyard_workers/load.py": "switchyard_workers.cli",
    "workers/switchyard_workers/served.py": "redis",
    "workers/switchyard_workers/reaper.py": "celery",
    "workers/switchyard_workers/commands/findings.py": "redbeat",
    "workers/switchyard_workers/commands/nodes.py": "flower",
    "workers/switchyard_workers/commands/queues.py": "switchyard_workers.commands.nodes",
}


def lint(root: Path) -> subprocess.CompletedProcess[str]:
    """What lint-imports says of the packages below ``root``."""
    script = Path(sysconfig.get_path("scripts"), "lint-imports")
    path = os.pathsep.join(map(str, (root / "scheduler", root / "workers", root)))
    return subprocess.run(
        [script, "--no-cache"],
        cwd=root,
        # Wide enough that no chain of imports is broken in two.
        env={**os.environ, "PYTHONPATH": path, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages and their contracts, to be changed."""
    root = tmp_path_factory.mktemp("copy")
    shutil.copy(ROOT / "pyproject.toml", root)
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__", "static"))
    return root


@pytest.fixture(scope="module")
def said(copy: Path) -> str:
    """What is said after a line was written into each module."""
    untouched = lint(copy)
    assert untouched.returncode == 0, untouched.stdout + untouched.stderr
    assert " 0 broken" in untouched.stdout
    for module, forbidden in FORBIDDEN.items():
        with (copy / module).open("a") as file:
            file.write(f"\nimport {forbidden}\n")
    broken = lint(copy)
    assert broken.returncode == 1
    return broken.stdout


@pytest.mark.parametrize("module", FORBIDDEN)
def test_a_room_may_not_know_what_it_is_not_for(said: str, module: str) -> None:
    """Broken if somebody can write this import, and nobody is told."""
    name = ".".join(Path(module).with_suffix("").parts[1:])
    assert f"{name} -> {FORBIDDEN[module]} (l." in said


def test_a_new_room_needs_a_floor(copy: Path) -> None:
    """Broken if what is new may import, and be imported by, everything."""
    attic = copy / "scheduler" / "switchyard" / "attic.py"
    attic.write_text('"""New."""\n')
    try:
        assert "attic" in lint(copy).stdout
    finally:
        attic.unlink()
