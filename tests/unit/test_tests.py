"""The tests themselves: each says what it is for, can fail, and runs alone if it bounds a time."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parents[1]
#: Calls that fail where what they look at is not so: pytest's, ours, Playwright's, Hypothesis's.
CHECKS = frozenset(
    {"raises", "warns", "fail", "wait_until", "expect", "run_machine", "run_state_machine_as_test"}
)
CLOCKS = frozenset({"monotonic", "perf_counter", "time"})


def parsed() -> dict[Path, ast.Module]:
    """Every file of the tests."""
    return {file: ast.parse(file.read_text(encoding="utf-8")) for file in sorted(FOLDER.rglob("*.py"))}


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    """All functions in it, the nested ones as well."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


TREES = parsed()
TESTS = {
    f"{file.relative_to(FOLDER)}::{test.name}": test
    for file, tree in TREES.items()
    for test in functions(tree)
    if file.name.startswith("test_") and test.name.startswith("test_")
}
HELPERS: dict[str, list[ast.FunctionDef]] = defaultdict(list)
for each in TREES.values():
    for one in functions(each):
        HELPERS[one.name].append(one)


def called(tree: ast.AST) -> frozenset[str]:
    """The last words of what it calls."""
    targets = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return frozenset(getattr(target, "id", getattr(target, "attr", "")) for target in targets)


@cache
def can_fail(function: ast.FunctionDef, depth: int = 4) -> bool:
    """Whether it asserts something, itself or in what it calls."""
    if any(isinstance(node, ast.Assert | ast.Raise) for node in ast.walk(function)):
        return True
    if called(function) & CHECKS:
        return True
    helpers = [each for name in called(function) for each in HELPERS.get(name, ())]
    return depth > 0 and any(can_fail(each, depth - 1) for each in helpers)


def bounds_a_time(test: ast.FunctionDef, tree: ast.Module) -> bool:
    """Whether it reads a clock, itself or by a function of its file, and asserts that something is less."""
    readers = {each.name for each in functions(tree) if called(each) & CLOCKS} - {test.name}
    asserted = [node.test for node in ast.walk(test) if isinstance(node, ast.Assert)]
    less = [
        node
        for each in asserted
        for node in ast.walk(each)
        if isinstance(node, ast.Compare) and any(isinstance(sign, ast.Lt | ast.LtE) for sign in node.ops)
    ]
    names = {node.id for node in ast.walk(test) if isinstance(node, ast.Name)}
    return bool(less) and bool(called(test) & CLOCKS or names & readers)


def marks(test: ast.FunctionDef) -> frozenset[str]:
    """The names of its marks."""
    return frozenset(
        node.attr
        for each in test.decorator_list
        for node in ast.walk(each)
        if isinstance(node, ast.Attribute)
    )


def test_every_test_says_what_would_be_broken() -> None:
    """Broken if whoever sees a test fail has to guess what it means to a user."""
    said = {name: ast.get_docstring(test) or "" for name, test in TESTS.items()}
    assert [name for name, words in said.items() if not words.endswith(".")] == []


def test_every_test_can_fail() -> None:
    """Broken if a test passes whatever happens."""
    assert [name for name, test in TESTS.items() if not can_fail(test)] == []


def test_no_assertion_is_true_by_itself() -> None:
    """Broken if an assertion of a constant, of a tuple, or of one thing with itself looks like a check."""
    asserted = [
        (file.name, node.test)
        for file, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Assert)
    ]
    empty = [
        f"{file}: {ast.unparse(test)}"
        for file, test in asserted
        if isinstance(test, ast.Constant | ast.Tuple)
        or (isinstance(test, ast.BoolOp) and any(isinstance(value, ast.Constant) for value in test.values))
        or (isinstance(test, ast.Compare) and ast.dump(test.left) == ast.dump(test.comparators[0]))
    ]
    assert len(asserted) > 1000
    assert empty == []


def test_no_test_ends_early_without_a_word() -> None:
    """Broken if a test returns where it should skip with a reason, so that it is counted as passed."""
    early = [
        name
        for name, test in TESTS.items()
        for node in ast.walk(test)
        if isinstance(node, ast.Return) and not any(node in ast.walk(each) for each in nested(test))
    ]
    assert early == []


def nested(test: ast.FunctionDef) -> list[ast.AST]:
    """The functions in it."""
    inner = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    return [node for node in ast.walk(test) if isinstance(node, inner) and node is not test]


def test_every_skip_has_a_reason() -> None:
    """Broken if nobody can tell from the summary why a test did not run."""
    skips = [
        (file.name, node)
        for file, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).startswith("pytest.")
        and ast.unparse(node.func).rpartition(".")[2] in ("skip", "skipif", "xfail")
    ]
    assert skips
    bare = [
        f"{file}: {ast.unparse(call)}"
        for file, call in skips
        if ("reason" not in {word.arg for word in call.keywords} and ast.unparse(call.func) != "pytest.skip")
        or not (call.args or call.keywords)
    ]
    assert bare == []


def test_what_bounds_a_time_is_marked() -> None:
    """Broken if a test that fails where the machine is busy runs beside others that make it busy."""
    trees = {str(file.relative_to(FOLDER)): tree for file, tree in TREES.items()}
    unmarked = [
        name
        for name, test in TESTS.items()
        if bounds_a_time(test, trees[name.partition("::")[0]]) and "timing" not in marks(test)
    ]
    assert unmarked == []
    assert any("timing" in marks(test) for test in TESTS.values())
