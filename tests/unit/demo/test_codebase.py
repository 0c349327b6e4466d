"""The demo's work: what is counted in a file, and that no file and no order can change an index."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from tasks.codebase import FileIndex, index_all, index_file, index_source, merge, python_files, totals

SOURCE = b'''"""A module."""
import os, json
from . import sibling
from collections.abc import Mapping


class Outer:
    class Inner:
        async def run(self): ...

    def stop(self): ...


def free(): return lambda: None
'''


def test_counts_lines_functions_classes_and_imports() -> None:
    """Nested and async definitions would be missed, or the demo's figures would mean nothing."""
    found = index_source("a.py", SOURCE)
    assert found == FileIndex(
        "a.py", lines=14, functions=3, classes=2, imports=(".", "collections.abc", "json", "os")
    )


@pytest.mark.parametrize(
    ("source", "branches"),
    [
        (b"x = 1", 0),
        (b"if a: pass\nelif b: pass\nelse: pass", 2),
        (b"for a in b:\n    while c: pass", 2),
        (b"try: pass\nexcept A: pass\nexcept B: pass\nfinally: pass", 2),
        (b"x = a if b else c", 1),
        (b"x = a and b and c or d", 3),
        (b"x = [a for a in b if c if d]", 3),
        (b"match a:\n    case 1: pass\n    case _: pass", 2),
        (b"async def f():\n    async for a in b: pass", 1),
    ],
)
def test_complexity_is_the_number_of_branches(source: bytes, branches: int) -> None:
    """A way through the code would be counted twice or not at all."""
    assert index_source("a.py", source).branches == branches


@pytest.mark.parametrize(
    ("source", "error"),
    [
        (b"def broken(:\n    pass\n", "SyntaxError"),
        (b"# coding: no-such-coding\nx = 1\n", "SyntaxError"),
        (b"x = '\xff'\n\n", "SyntaxError"),
        (b"x = 1\n\0\n", "Error"),
    ],
)
def test_a_file_that_does_not_parse_is_recorded(source: bytes, error: str) -> None:
    """One broken file would fail its task, and with it the whole chord."""
    found = index_source("broken.py", source)
    assert found.path == "broken.py"
    assert found.lines == 2
    assert error in str(found.error)
    assert (found.functions, found.branches) == (0, 0)


def test_odd_escapes_are_no_error_where_warnings_are() -> None:
    """The index would depend on the warning filters of the process that computes it."""
    assert index_source("a.py", rb"x = '\d'").error is None


def test_a_file_that_cannot_be_read_is_recorded(tmp_path: Path) -> None:
    """A file deleted while the demo runs would be lost instead of reported."""
    found = index_file(tmp_path, "gone.py")
    assert str(found.error).startswith("FileNotFoundError")


def test_merge_does_not_depend_on_the_order() -> None:
    """Tasks finish in any order: a good run would be called different from the one process."""
    files = [FileIndex(f"{name}.py", lines=name) for name in range(20)]
    shuffled = random.Random(7).sample(files, len(files))
    assert list(merge(shuffled).items()) == list(merge(files).items())
    assert totals(merge(shuffled)) == totals(merge(files))


def test_a_file_index_survives_json() -> None:
    """Results travel as JSON: what comes back would differ from what was computed."""
    found = index_source("a.py", SOURCE)
    assert FileIndex.from_json(json.loads(json.dumps(found.as_json()))) == found


def test_finds_the_source_of_a_tree_and_nothing_that_pip_installed(tmp_path: Path) -> None:
    """The demo would index whatever is installed beside the standard library, or miss a package."""
    wanted = ["a.py", "pkg/b.py", "pkg/deep/c.py"]
    others = ["site-packages/x.py", "pkg/__pycache__/y.py", "dist-packages/z.py", "pkg/data.txt"]
    for path in wanted + others:
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("import os\n")
    (tmp_path / "folder.py").mkdir()
    assert python_files(tmp_path) == wanted


def test_one_process_indexes_every_file(tmp_path: Path) -> None:
    """The index to verify against would itself be incomplete."""
    (tmp_path / "a.py").write_text("import os, sys\nclass A: ...\n")
    (tmp_path / "b.py").write_text("import os\ndef (\n")
    (tmp_path / "c.py").write_text("import os\nif x: pass\n")
    index = index_all(tmp_path, python_files(tmp_path))
    sums = totals(index, most=1)
    assert (sums.files, sums.lines, sums.classes, sums.branches, sums.unparsable) == (3, 6, 1, 1, 1)
    assert sums.imported == (("os", 2),)
