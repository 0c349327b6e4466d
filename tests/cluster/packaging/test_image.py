"""What can be said of the Dockerfile and docker-compose.yml without a Docker engine."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from pathlib import Path

import pytest

from switchyard_workers.cli import main
from tests.cluster.packaging.conftest import build_wheel
from tests.support.nodes import ROOT

COPY = re.compile(r"^COPY (.+) (/\S+)$", re.MULTILINE)
COMMAND = re.compile(r"^ {4}command: (\[.+\])$", re.MULTILINE)
MOUNT = re.compile(r"^ +- \./(\S+):/\S+:ro$", re.MULTILINE)


def copied() -> list[str]:
    """What the Dockerfile takes from this source tree."""
    return [
        source for sources, _ in COPY.findall((ROOT / "Dockerfile").read_text()) for source in sources.split()
    ]


def commands() -> list[list[str]]:
    """The command lines of the services that run our image."""
    lines = [json.loads(text) for text in COMMAND.findall((ROOT / "docker-compose.yml").read_text())]
    return [line for line in lines if line[0] in main.commands]


def test_the_image_gets_the_whole_wheel(wheel: Path, tmp_path: Path) -> None:
    """Broken if the build needs a file that the Dockerfile does not copy or that .dockerignore holds back."""
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert set(copied()) == let_in
    (tmp_path / "src").mkdir()
    for source in copied():
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, tmp_path / "src" / source)
        else:
            shutil.copy(ROOT / source, tmp_path / "src" / source)
    built = build_wheel(tmp_path / "src", tmp_path / "wheel")
    assert zipfile.ZipFile(built).namelist() == zipfile.ZipFile(wheel).namelist()


@pytest.mark.parametrize("line", commands(), ids=" ".join)
def test_a_service_starts_with_options_that_there_are(line: list[str]) -> None:
    """Broken if an option was renamed and the containers would end at once with a usage message."""
    name, *arguments = line
    context = main.commands[name].make_context(name, list(arguments))
    assert "tasks.app" in arguments
    assert context.params["app"] == "tasks.app"


def test_what_the_services_mount_is_there() -> None:
    """Broken if Docker would make an empty folder in the place of a file that moved."""
    mounted = MOUNT.findall((ROOT / "docker-compose.yml").read_text())
    assert len(commands()) == 4
    assert mounted
    for path in mounted:
        assert (ROOT / path).exists(), path
