"""The versions that we call tested are those that the compat sessions pin."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from switchyard.adapters.versions import TESTED, untested
from tests.support.nodes import ROOT


def pins(file: Path) -> dict[str, str]:
    """Distribution -> version in one constraint file."""
    return dict(re.findall(r"^(\w+)==(\S+)$", file.read_text(), re.MULTILINE))


def test_the_bounds_are_those_of_the_constraint_files() -> None:
    """Broken if `check` vouches for a version that no session runs with, or doubts one that one does."""
    pairs = [pins(file) for file in (ROOT / "requirements").glob("compat-*.txt")]
    assert len(pairs) == 4
    for name, bounds in TESTED.items():
        minors = sorted(tuple(map(int, pair[name].split(".")[:2])) for pair in pairs)
        assert (minors[0], minors[-1]) == bounds


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("8.1.7", ""),
        ("5.0.8", ""),
        ("8.2.0", "redis 8.2.0 (tested: 5.0 to 8.1)"),
        ("9.0.0b1", "redis 9.0.0b1"),
    ],
)
def test_a_version_between_no_bounds_is_named(text: str, said: str) -> None:
    """Broken if somebody runs with a redis-py that we never saw and `check` is silent, or cries wolf."""
    installed = {"celery": "5.7.0", "kombu": "5.4.2", "redis": text}
    assert said in "".join(untested(installed.__getitem__))
    assert bool(untested(installed.__getitem__)) is bool(said)
