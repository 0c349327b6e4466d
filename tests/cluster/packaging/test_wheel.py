"""The wheel has what a user needs and nothing else, and lives beside modules named as our folders."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cluster.packaging.conftest import Environment
from tests.support.nodes import ROOT, is_up
from tests.support.servers import Server
from tests.support.waiting import wait_until

SOURCES = {"switchyard": ROOT / "scheduler", "switchyard_workers": ROOT / "workers"}

#: A project as users have them: with a module or package of each name that our source tree has as a folder.
PROJECT = {
    "scheduler.py": "OWNER = 'shop'",
    "workers/__init__.py": "OWNER = 'shop'",
    "configs.py": "import os\n\nBROKER = os.environ['SHOP_BROKER']",
    "tasks.py": """
import os
import configs, scheduler, switchyard, switchyard_workers, workers
from celery import Celery

app = Celery("shop", broker=configs.BROKER, backend=configs.BROKER)
switchyard.install(app)

@app.task
def origins():
    project = [scheduler.__file__, workers.__file__, configs.__file__, __file__]
    library = [switchyard.__file__, switchyard_workers.__file__]
    return {"project": project, "library": library, "process": os.getpid()}
""",
    "produce.py": """
import json
from tasks import origins

here = origins()
there = [origins.delay() for _ in range(20)]
print(json.dumps([here, *(result.get(timeout=30) for result in there)]))
""",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the user's project."""
    folder = tmp_path / "shop"
    for name, text in PROJECT.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def surroundings(server: Server) -> dict[str, str]:
    """A user's environment variables: nothing in them leads to this source tree."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "SHOP_BROKER": server.url(),
        "C_FORCE_ROOT": "1",
    }


@contextmanager
def node(environment: Environment, project: Path, server: Server) -> Iterator[None]:
    """The project's node, started as the README says, until the block ends."""
    command = [environment.command("switchyard"), "worker", "-A", "tasks", "--node", "shop-1", "--slots", "2"]
    log = project.parent / "node.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, "--", "-l", "INFO"], cwd=project, env=surroundings(server), stdout=out, stderr=out,
            start_new_session=True,
        )  # fmt: skip
    try:
        wait_until(
            lambda: process.poll() is not None or is_up(server, "shop-1"), "the node is up", timeout=40
        )
        assert process.poll() is None, log.read_text()
        yield
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def run(environment: Environment, project: Path, server: Server, *command: str) -> str:
    """What one of the environment's commands prints."""
    done = subprocess.run(
        [environment.command(command[0]), *command[1:]],
        cwd=project, env=surroundings(server), capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_holds_every_file_of_the_two_packages_and_nothing_else(wheel: Path) -> None:
    """Broken if an install lacks a script, a page or the types, or brings a `tasks` or `tests` of its own."""
    files = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    expected = {
        str(file.relative_to(sources))
        for package, sources in SOURCES.items()
        for file in (sources / package).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert files == expected
    suffixes = {Path(name).suffix for name in files} | {Path(name).name for name in files}
    assert {".lua", ".html", ".js", ".css", "openapi.json", "py.typed"} <= suffixes


def test_the_wheel_says_who_made_it_and_for_which_python(wheel: Path) -> None:
    """Broken if pip takes it for another version than ``switchyard --version`` prints, or shows no README."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = archive.read(name).decode()
    version = (
        (ROOT / "scheduler/switchyard/__init__.py").read_text().partition('__version__ = "')[2].split('"')[0]
    )
    assert f"\nVersion: {version}\n" in metadata
    assert "\nRequires-Python: >=3.11\n" in metadata
    assert metadata.endswith((ROOT / "README.md").read_text())


def test_it_runs_beside_a_project_with_a_scheduler_and_workers_of_its_own(
    environment: Environment, project: Path, clean_valkey: Server
) -> None:
    """Broken if a `scheduler.py`, `workers/`, `tasks.py` or `configs.py` hides ours, or the reverse."""
    with node(environment, project, clean_valkey):
        here, *there = json.loads(run(environment, project, clean_valkey, "python", "produce.py"))
        listed = json.loads(
            run(environment, project, clean_valkey, "switchyard", "nodes", "-A", "tasks", "--json")
        )
        assert "shop-1" in run(
            environment, project, clean_valkey, "python", "-m", "celery", "-A", "tasks", "nodes"
        )
    names = ["scheduler.py", "workers/__init__.py", "configs.py", "tasks.py"]
    library = ["switchyard/__init__.py", "switchyard_workers/__init__.py"]
    for seen in (here, *there):
        assert seen["project"] == [str(project / name) for name in names]
        assert seen["library"] == [str(environment.packages / name) for name in library]
        assert (seen is here) == (seen["process"] == here["process"])
    assert len(there) == 20
    assert [each["name"] for each in listed] == ["shop-1"]
