"""The demo's real work: an index of Python source. Pure functions of bytes, but for reading the files."""

from __future__ import annotations

import ast
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

#: Folders that are not source of the tree itself: what pip installed, and compiled copies.
_NOT_OURS = frozenset({"site-packages", "dist-packages", "__pycache__"})
#: What ast.parse raises for text that is no Python: wrong syntax, bad bytes, too deeply nested.
_UNPARSABLE = (SyntaxError, ValueError, RecursionError, MemoryError)
#: Each of these nodes is one more way through the code.
_BRANCHES = (
    ast.If,
    ast.IfExp,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.ExceptHandler,
    ast.match_case,
    ast.comprehension,
)


@dataclass(frozen=True, slots=True)
class FileIndex:
    """One file: counts, the modules it imports in name order, its branches, or why it does not parse."""

    path: str
    lines: int = 0
    functions: int = 0
    classes: int = 0
    imports: tuple[str, ...] = ()
    branches: int = 0
    error: str | None = None

    def as_json(self) -> dict[str, Any]:
        """What :meth:`from_json` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FileIndex:
        """Read what :meth:`as_json` wrote, also after a trip through JSON."""
        return cls(**{**data, "imports": tuple(data["imports"])})


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over an index, and the ``imported`` modules that most files import."""

    files: int
    lines: int
    functions: int
    classes: int
    branches: int
    unparsable: int
    imported: tuple[tuple[str, int], ...]


def python_files(root: Path) -> list[str]:
    """Paths of the .py files under ``root``, relative to it, in order; nothing that pip installed."""
    paths = (path.relative_to(root) for path in root.rglob("*.py") if path.is_file())
    return sorted(path.as_posix() for path in paths if _NOT_OURS.isdisjoint(path.parts))


def index_file(root: Path, path: str) -> FileIndex:
    """Index ``root/path``. A file that cannot be read is recorded with its error, never lost."""
    try:
        source = (root / path).read_bytes()
    except OSError as exc:
        return FileIndex(path, error=f"{type(exc).__name__}: {exc.strerror}")
    return index_source(path, source)


def index_source(path: str, source: bytes) -> FileIndex:
    """Index the text of one file. One that does not parse is recorded with its lines and its error."""
    lines = len(source.splitlines())
    try:
        tree = _parse(path, source)
    except _UNPARSABLE as exc:
        return FileIndex(path, lines, error=f"{type(exc).__name__}: {exc}")
    kinds: dict[type[ast.AST], list[Any]] = defaultdict(list)
    for node in ast.walk(tree):
        kinds[type(node)].append(node)
    return FileIndex(
        path,
        lines,
        functions=len(kinds[ast.FunctionDef]) + len(kinds[ast.AsyncFunctionDef]),
        classes=len(kinds[ast.ClassDef]),
        imports=tuple(sorted(_imported(kinds))),
        branches=_branches(kinds),
    )


def merge(files: Iterable[FileIndex]) -> dict[str, FileIndex]:
    """The index by path, in path order whatever order the files come in."""
    return {file.path: file for file in sorted(files, key=lambda file: file.path)}


def index_all(root: Path, paths: Sequence[str]) -> dict[str, FileIndex]:
    """The same index in this process alone, to verify against."""
    return merge(index_file(root, path) for path in paths)


def totals(index: Mapping[str, FileIndex], most: int = 3) -> Totals:
    """Sums over an index, with the ``most`` imported modules."""
    files = index.values()
    imported = Counter(module for file in files for module in file.imports)
    return Totals(
        files=len(index),
        lines=sum(file.lines for file in files),
        functions=sum(file.functions for file in files),
        classes=sum(file.classes for file in files),
        branches=sum(file.branches for file in files),
        unparsable=sum(file.error is not None for file in files),
        imported=tuple(sorted(imported.items(), key=lambda item: (-item[1], item[0]))[:most]),
    )


def _parse(path: str, source: bytes) -> ast.Module:
    with warnings.catch_warnings():
        # Python warns of odd escapes while it parses; where warnings are errors, they would change the index.
        warnings.simplefilter("ignore")
        return ast.parse(source, path)


def _imported(kinds: Mapping[type[ast.AST], Sequence[Any]]) -> set[str]:
    plain = {alias.name for node in kinds[ast.Import] for alias in node.names}
    return plain | {"." * node.level + (node.module or "") for node in kinds[ast.ImportFrom]}


def _branches(kinds: Mapping[type[ast.AST], Sequence[Any]]) -> int:
    operators = sum(len(node.values) - 1 for node in kinds[ast.BoolOp])
    filters = sum(len(node.ifs) for node in kinds[ast.comprehension])
    return sum(len(kinds[kind]) for kind in _BRANCHES) + operators + filters
