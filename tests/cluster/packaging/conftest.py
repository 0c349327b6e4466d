"""The wheel, and an environment that has Switchyard from it and from nowhere else."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.nodes import ROOT


@dataclass(frozen=True, slots=True)
class Environment:
    """A user's virtual environment."""

    folder: Path

    def command(self, name: str) -> str:
        """One of its commands: ``python``, ``switchyard``."""
        return str(self.folder / "bin" / name)

    @property
    def packages(self) -> Path:
        """Where its packages are."""
        return Path(sysconfig.get_path("purelib", "venv", {"base": str(self.folder)}))


def run(*command: str, cwd: Path = ROOT) -> None:
    """Run a command that must succeed; its output is in the failure."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"


def build_wheel(source: Path, folder: Path) -> Path:
    """The wheel of a source tree of ours, built by the project's own backend."""
    build = (sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder))
    run(*build, cwd=source)
    (built,) = folder.glob("*.whl")
    return built


def environment_of(wheel: Path, folder: Path) -> Environment:
    """An environment with the wheel in it, which borrows all other packages from the one that runs the tests.

    A path in a ``.pth`` file is searched last and its own ``.pth`` files are not read, so this source tree,
    which the lender has installed as editable, cannot be imported.
    """
    made = Environment(folder)
    venv.create(made.folder, with_pip=False)
    python = made.command("python")
    run(
        sys.executable, "-m", "uv", "pip", "install", "--offline", "--no-deps", "--python", python, str(wheel)
    )
    (made.packages / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    return made


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this source tree."""
    return build_wheel(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with the wheel of this source tree."""
    return environment_of(wheel, tmp_path_factory.mktemp("environment"))
