"""Finds private names that a module uses and that are not its own: an attribute, an import, a hook of a base.

A name is private if it begins with one underscore. It belongs to the module that defines it, and to the
classes that inherit it from ours. Everything else that has such a name is somebody else's.
"""

from __future__ import annotations

import ast
import builtins
import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

#: Names with an underscore that their owners document for everybody.
DOCUMENTED = frozenset({"_exit", "_asdict", "_replace", "_fields", "_make"})
#: Functions that take an attribute's name as text: after the object, or alone.
_OF_AN_OBJECT = frozenset({"getattr", "setattr", "delattr", "hasattr"})
_OF_ANY = frozenset({"attrgetter", "methodcaller"})


@dataclass(frozen=True)
class Use:
    """One use of a name that is not ours."""

    line: int
    what: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.what}"


def is_private(name: str) -> bool:
    """Whether a name is its owner's alone."""
    dunder = name.startswith("__") and name.endswith("__")
    return name.startswith("_") and name != "_" and not dunder and name not in DOCUMENTED


class Module:
    """The syntax of a module, and which names it defines."""

    def __init__(self, name: str, source: str) -> None:
        self.name = name
        self.tree = ast.parse(source)
        self.classes = {node.name: node for node in ast.walk(self.tree) if isinstance(node, ast.ClassDef)}

    @classmethod
    def at(cls, path: Path, root: Path) -> Module:
        """The module in a file; ``root`` is the folder that its package is in."""
        parts = path.relative_to(root).with_suffix("").parts
        return cls(".".join(part for part in parts if part != "__init__"), path.read_text())

    @cached_property
    def imports(self) -> Mapping[str, str]:
        """The whole name of each name that was imported."""
        found: dict[str, str] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom):
                found |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
            elif isinstance(node, ast.Import):
                found |= {
                    a.asname or a.name.partition(".")[0]: (a.asname and a.name) or "" for a in node.names
                }
        return found

    @cached_property
    def defined(self) -> frozenset[str]:
        """Private names that the module defines anywhere."""
        return frozenset(filter(is_private, _defined(self.tree)))

    def bases(self, node: ast.ClassDef) -> list[str]:
        """The whole names of a class's bases."""
        return [self._whole(ast.unparse(base).partition("[")[0]) for base in node.bases]

    def _whole(self, name: str) -> str:
        first, dot, rest = name.partition(".")
        if first in self.classes:
            return f"{self.name}.{name}"
        return f"{self.imports.get(first) or first}{dot}{rest}"


class Code:
    """All modules that are ours."""

    def __init__(self, modules: list[Module]) -> None:
        self._classes = {
            f"{module.name}.{name}": (module, node)
            for module in modules
            for name, node in module.classes.items()
        }

    def uses(self, module: Module) -> list[Use]:
        """The private names in a module that are neither its own nor inherited from ours."""
        found = [*_imported(module), *self._attributes(module, module.tree, None)]
        for node in module.classes.values():
            found += self._hooks(module, node)
        return sorted(set(found), key=lambda use: use.line)

    def _attributes(self, module: Module, node: ast.AST, owner: ast.ClassDef | None) -> Iterator[Use]:
        for child in ast.iter_child_nodes(node):
            inside = child if isinstance(child, ast.ClassDef) else owner
            if (named := _named(child)) and not self._is_ours(module, owner, *named):
                yield Use(child.lineno, f"{ast.unparse(named[0])}.{named[1]}")  # type: ignore[attr-defined]
            yield from self._attributes(module, child, inside)

    def _is_ours(self, module: Module, owner: ast.ClassDef | None, whose: ast.expr, name: str) -> bool:
        if owner is not None and _is_self(whose):
            return name in self._inherited(module, owner, itself=not _is_super(whose))
        return name in module.defined

    def _inherited(self, module: Module, node: ast.ClassDef, itself: bool = True) -> frozenset[str]:
        """Private names that a class defines or inherits from classes of ours."""
        names = frozenset(_defined(node)) if itself else frozenset()
        for base in module.bases(node):
            if base in self._classes:
                names |= self._inherited(*self._classes[base])
        return names

    def _hooks(self, module: Module, node: ast.ClassDef) -> Iterator[Use]:
        """What a class defines although a base that is not ours has it."""
        for base in self._foreign_bases(module, node):
            for name in sorted(filter(is_private, _defined(node))):
                if hasattr(base, name):
                    yield Use(node.lineno, f"{node.name} has {name}, which is {base.__qualname__}'s")

    def _foreign_bases(self, module: Module, node: ast.ClassDef) -> Iterator[type]:
        for base in module.bases(node):
            if base in self._classes:
                yield from self._foreign_bases(*self._classes[base])
            elif (found := _loaded(base)) is not None:
                yield found


def _defined(tree: ast.AST) -> Iterator[str]:
    """Names that are assigned, deleted, or given to a function, a class or a slot."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _is_self(node.value):
            yield node.attr


def _imported(module: Module) -> Iterator[Use]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom | ast.Import):
            origin = getattr(node, "module", None) or ""
            for alias in node.names:
                whole = f"{origin}.{alias.name}".strip(".")
                if any(map(is_private, whole.split("."))):
                    yield Use(node.lineno, f"import of {whole}")


def _named(node: ast.AST) -> tuple[ast.expr, str] | None:
    """Whose private attribute a node is about, and which."""
    match node:
        case ast.Attribute(value=whose, attr=name) if is_private(name):
            return whose, name
        case ast.Call(func=ast.Name(id=function), args=[whose, ast.Constant(value=str(name)), *_]):
            return (whose, name) if function in _OF_AN_OBJECT and is_private(name) else None
        case ast.Call(func=ast.Name(id=function), args=[ast.Constant(value=str(name)) as whose, *_]):
            return (whose, name) if function in _OF_ANY and is_private(name) else None
        case ast.Subscript(
            value=ast.Attribute(value=whose, attr="__dict__")
            | ast.Call(func=ast.Name(id="vars"), args=[whose]),
            slice=ast.Constant(value=str(name)),
        ):
            return (whose, name) if is_private(name) else None
    return None


def _is_self(node: ast.expr) -> bool:
    return (isinstance(node, ast.Name) and node.id in ("self", "cls")) or _is_super(node)


def _is_super(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super"


def _loaded(name: str) -> type | None:
    """A class by its whole name; None for what is no class, such as Generic[T]."""
    module, _, attribute = name.rpartition(".")
    found = getattr(importlib.import_module(module) if module else builtins, attribute, None)
    return found if isinstance(found, type) else None
