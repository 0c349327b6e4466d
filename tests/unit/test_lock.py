"""What ``make install`` installs, ``requirements/dev.txt``, fits ``pyproject.toml`` and any package index."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PIN = re.compile(r"([a-z0-9-]+)==([\w.]+)(?: ; .+)?")


def pins() -> dict[str, str]:
    """Version by package. Fails on a line that is no pin: an address would tie the file to one index."""
    lines = (ROOT / "requirements" / "dev.txt").read_text().splitlines()
    found = [PIN.fullmatch(line) for line in lines if not line.startswith("#")]
    assert all(found), "requirements/dev.txt has more than pins; write it anew with: make lock"
    return {match[1]: match[2] for match in found if match}


def wanted() -> Iterator[Requirement]:
    """What ``pyproject.toml`` asks for, with every extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for text in chain(project["dependencies"], *project["optional-dependencies"].values()):
        requirement = Requirement(text)
        if requirement.name != project["name"]:
            yield requirement


def test_the_lock_file_fits_the_project() -> None:
    """Broken if a dependency was added or raised and ``make install`` still installs what was there."""
    versions = pins()
    for requirement in wanted():
        version = versions.get(canonicalize_name(requirement.name))
        assert version is not None, (
            f"{requirement.name} is not pinned; write requirements/dev.txt anew: make lock"
        )
        assert requirement.specifier.contains(version, prereleases=True), (
            f"{requirement} is pinned at {version}; write requirements/dev.txt anew with: make lock"
        )
