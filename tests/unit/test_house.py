"""The house stays small: a newcomer finds in which module a change belongs, and can read all of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILES = {
    path.relative_to(ROOT).as_posix(): path
    for folder in ("scheduler", "workers", "tasks", "tests", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
}
#: Lines that a module may have, and modules that a package may have side by side.
LINES, MODULES = 300, 13


def test_no_module_is_long() -> None:
    """Broken if a module has more than one reason to exist."""
    lines = {name: len(path.read_text().splitlines()) for name, path in FILES.items()}
    assert {name for name, count in lines.items() if count > LINES} == set()


def test_no_package_is_wide() -> None:
    """Broken if modules pile up side by side, and nobody sees which belong together."""
    counts = Counter(str(Path(name).parent) for name in FILES if not name.endswith("__init__.py"))
    assert {package for package, count in counts.items() if count > MODULES} == set()


def test_every_folder_is_looked_at() -> None:
    """Broken if a folder moved, so that the tests above look at nothing and pass."""
    assert {name.partition("/")[0] for name in FILES} >= {
        "scheduler",
        "workers",
        "tasks",
        "tests",
        "benchmarks",
    }
