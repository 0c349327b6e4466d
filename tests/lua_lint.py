"""Checks every Lua operation as it is sent, with all that it includes: ``python -m tests.lua_lint``.

It finds what is no Lua 5.1, variables that nobody defined, assignments to globals, locals that nobody reads,
and functions and names of keys that a header asks for without need or fails to ask for.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from luaparser import ast
from luaparser import astnodes as nodes

from switchyard.cluster.runner import operation
from switchyard.lua import LuaFile, files_of, operations

#: What the server gives a script: its own names, and those of Lua's libraries that it lets in.
GLOBALS = frozenset(
    re.findall(
        r"\w+",
        "KEYS ARGV redis cjson cmsgpack bit struct string table math"
        " assert error ipairs next pairs pcall select tonumber tostring type unpack",
    )
)
#: Characters of a line, as .editorconfig has it.
LINE = 120
#: What the parser takes and Lua 5.1, which the servers run, does not.
_LATER = (nodes.FloorDivOp, nodes.BitOp, nodes.UBNotOp, nodes.Goto, nodes.Label, nodes.Attribute)


@dataclass(slots=True)
class _Local:
    """A variable, the line that declares it, and whether anything reads it."""

    line: int
    read: bool = False


@dataclass(slots=True)
class Walk:
    """One walk over a syntax tree: what is wrong with it, and which names are read where."""

    problems: list[tuple[int, str]] = field(default_factory=list)
    reads: list[tuple[int, str]] = field(default_factory=list)
    _scopes: list[dict[str, _Local]] = field(default_factory=list)
    _line: int = 1

    def block(self, names: Sequence[Any], *parts: Any) -> None:
        """A scope with these variables and what is in it."""
        self._scopes.append({})
        for name in names:
            self._declare(name)
        for part in parts:
            self.visit(part)
        for name, local in self._scopes.pop().items():
            if not local.read and name != "_":
                self.problems.append((local.line, f"nobody reads {name}"))

    def visit(self, node: Any) -> None:
        """One node and all below it."""
        self._line = getattr(node, "line", None) or self._line  # some nodes have none of their own
        if isinstance(node, list):
            for each in node:
                self.visit(each)
        elif isinstance(node, _LATER):
            self._add(f"{node.display_name} is not Lua 5.1")
        elif isinstance(node, nodes.Node):
            getattr(self, f"_{type(node).__name__}", self._children)(node)

    def _add(self, problem: str) -> None:
        self.problems.append((self._line, problem))

    def _children(self, node: Any) -> None:
        for name, value in vars(node).items():
            if not name.startswith("_") and name != "comments":
                self.visit(value)

    def _Name(self, node: Any) -> None:
        self.reads.append((self._line, node.id))
        for scope in reversed(self._scopes):
            if node.id in scope:
                scope[node.id].read = True
                return
        if node.id not in GLOBALS:
            self._add(f"{node.id} is not defined")

    def _declare(self, name: Any) -> None:
        if not isinstance(name, nodes.Name):
            return
        if name.id in self._scopes[-1] and name.id != "_":
            self._add(f"{name.id} is declared twice")
        self._scopes[-1][name.id] = _Local(name.line or self._line)

    def _Block(self, node: Any) -> None:
        self.block((), node.body)

    def _LocalAssign(self, node: Any) -> None:
        self.visit(node.values)
        for target in node.targets:
            self._declare(target)

    def _LocalFunction(self, node: Any) -> None:
        self._declare(node.name)
        self.block(node.args, node.body.body)

    def _AnonymousFunction(self, node: Any) -> None:
        self.block(node.args, node.body.body)

    def _Function(self, node: Any) -> None:
        self._add("a function that is not local is refused by the server")

    def _Assign(self, node: Any) -> None:
        self.visit(node.values)
        for target in node.targets:
            if not isinstance(target, nodes.Name):
                self.visit(target)
            elif not any(target.id in scope for scope in self._scopes):
                self._add(f"{target.id} is assigned to and not local")

    def _Index(self, node: Any) -> None:
        self.visit(node.value)
        if node.notation is nodes.IndexNotation.SQUARE:
            self.visit(node.idx)

    def _Invoke(self, node: Any) -> None:
        self.visit([node.source, node.args])

    def _Field(self, node: Any) -> None:
        if node.between_brackets:
            self.visit(node.key)
        self.visit(node.value)

    def _Fornum(self, node: Any) -> None:
        self.visit([node.start, node.stop, node.step])
        self.block([node.target], node.body.body)

    def _Forin(self, node: Any) -> None:
        self.visit(node.iter)
        self.block(node.targets, node.body.body)

    def _Repeat(self, node: Any) -> None:
        self.block((), node.body.body, node.test)


def lint(files: Sequence[LuaFile], source: str) -> set[str]:
    """What is wrong with a script that is these files, one after the other, behind a first line of names."""
    starts = list(_starts(files))
    try:
        tree = ast.parse(source)
    except ast.SyntaxException as exc:
        return {f"{files[-1].name}.lua: {exc}"}
    walk = Walk()
    walk.visit(tree)
    found = {_at(starts, line, problem) for line, problem in walk.problems}
    return found | set(_headers(starts, files, walk.reads)) | set(_long_lines(files))


def _long_lines(files: Iterable[LuaFile]) -> Iterator[str]:
    for file in files:
        for number, line in enumerate(file.text.splitlines(), 1):
            if len(line) > LINE:
                yield f"{file.name}.lua:{number}: {len(line)} characters, more than {LINE}"


def _starts(files: Iterable[LuaFile]) -> Iterator[tuple[int, LuaFile]]:
    line = 2
    for file in files:
        yield line, file
        line += file.text.count("\n") + 1


def _file_at(starts: Sequence[tuple[int, LuaFile]], line: int) -> tuple[int, LuaFile]:
    return next((found for found in reversed(starts) if found[0] <= line), starts[0])


def _at(starts: Sequence[tuple[int, LuaFile]], line: int, problem: str) -> str:
    start, file = _file_at(starts, line)
    return f"{file.name}.lua:{max(1, line - start + 1)}: {problem}"


def _headers(
    starts: Sequence[tuple[int, LuaFile]], files: Sequence[LuaFile], reads: Iterable[tuple[int, str]]
) -> Iterator[str]:
    """What headers ask for without need, and what files use without asking."""
    read: dict[str, set[str]] = {file.name: set() for file in files}
    for line, name in reads:
        read[_file_at(starts, line)[1].name].add(name)
    on_offer = {name for file in files for name in (*file.includes, *file.names)}
    for file in files:
        asked = {*file.includes, *file.names}
        own = {file.name.rpartition("/")[2]}
        for name in asked - read[file.name]:
            yield f"{file.name}.lua:1: {name} is asked for and not used"
        for name in (read[file.name] & on_offer) - asked - own:
            yield f"{file.name}.lua:1: {name} is used and not asked for"


def main() -> int:
    """Prints what is wrong and returns the exit code."""
    found = {
        problem for name in operations() for problem in lint(files_of(name), operation(name).source.decode())
    }
    print("\n".join(sorted(found)) or f"{len(operations())} Lua operations are clean")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
