"""What the documents say about this source tree is there: links, headings, files, commands, names."""

from __future__ import annotations

import ast
import importlib.util
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("scheduler", "workers", "tasks", "configs", "tests", "benchmarks", "docs")
DOCUMENTS = sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").rglob("*.md"))
#: History may name what is gone.
PRESENT = [document for document in DOCUMENTS if document.name != "CHANGELOG.md"]
#: Files of a user's project, or of another project's, that the documents speak of.
FOREIGN = {
    "acme/placing.py", "configs.py", "flowerconfig.py", "scheduler.py", "shop.py", "tasks.py",
    "test_inspect.py",
}  # fmt: skip
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
IN_A_FOLDER = re.compile(rf"(?:{'|'.join(FOLDERS)})/[\w./-]*")
A_FILE = re.compile(r"[\w.-]+(?:/[\w.-]+)*\.(?:py|lua|toml|json|yml|html|js|conf)")
MODULE = re.compile(r"python -m ((?:tests|benchmarks|tasks|switchyard)[\w.]*)")
TARGET = re.compile(r"\bmake ([a-z][a-z-]*)\b")


def name(document: Path) -> str:
    """What a failure calls it."""
    return str(document.relative_to(ROOT))


def prose(document: Path) -> str:
    """Its text without the blocks of code."""
    return FENCE.sub("", document.read_text())


def codes(document: Path) -> list[str]:
    """What its text sets as code."""
    return CODE.findall(prose(document))


@cache
def anchors(document: Path) -> frozenset[str]:
    """What can follow ``#`` in a link to it: each heading as GitHub spells it in an address."""
    headings = re.findall(r"^#+ (.+)$", prose(document), re.MULTILINE)
    return frozenset(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings)


@cache
def files() -> frozenset[str]:
    """Every file of ours, relative to the root."""
    ours = [file for folder in FOLDERS for file in (ROOT / folder).rglob("*") if file.is_file()]
    return frozenset(name(file) for file in [*ours, *ROOT.glob("*"), *ROOT.glob(".*")])


def exists(file: str) -> bool:
    """Whether one of our files has this name, or ends with this path."""
    return file in FOREIGN or any(f"/{each}".endswith(f"/{file}") for each in files())


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    """Broken if a file or a heading was renamed and a page still links to the old one."""
    for target in LINK.findall(prose(document)):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        aim = (document.parent / file).resolve() if file else document
        assert aim.exists(), f"{name(document)} links to {target}"
        assert not anchor or anchor in anchors(aim), f"{name(document)} links to a heading: {target}"


@pytest.mark.parametrize("document", PRESENT, ids=name)
def test_every_file_that_is_named_exists(document: Path) -> None:
    """Broken if a page sends its reader to a file or folder that is no longer there."""
    for code in codes(document):
        if IN_A_FOLDER.fullmatch(code):
            assert (ROOT / code).exists(), f"{name(document)} names {code}"
        elif A_FILE.fullmatch(code):
            assert exists(code), f"{name(document)} names {code}"


@pytest.mark.parametrize("document", PRESENT, ids=name)
def test_every_command_of_this_tree_exists(document: Path) -> None:
    """Broken if a page tells its reader to run a module or a make target that is no longer there."""
    text = document.read_text()
    for module in MODULE.findall(text):
        assert importlib.util.find_spec(module.rstrip(".")), f"{name(document)} runs {module}"
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for target in TARGET.findall("\n".join([*codes(document), *FENCE.findall(text)])):
        assert target in targets, f"{name(document)} runs make {target}"


def test_every_page_is_found_from_the_first_one() -> None:
    """Broken if a page was added that no reader will ever see."""
    index = ROOT / "docs" / "README.md"
    assert "docs/README.md" in LINK.findall(prose(ROOT / "README.md"))
    linked = {(index.parent / target.partition("#")[0]).resolve() for target in LINK.findall(prose(index))}
    assert set((ROOT / "docs").glob("*.md")) - {index} <= linked


def test_the_old_import_names_are_gone() -> None:
    """Broken if a page, a message or a module still sends a user to a package that no wheel has."""
    old = re.compile(r"\b(?:import|from) (?:scheduler|workers)\b")
    written = (".py", ".md", ".toml", ".yml", ".json", ".lua", ".html", ".js")
    for file in sorted(files()):
        if file.endswith(written) and file != "CHANGELOG.md":
            assert not old.search((ROOT / file).read_text()), file


def test_the_placeholder_for_a_public_home_is_one() -> None:
    """Broken if whoever publishes replaces the address in one place and misses another."""
    homes = re.compile(r"https?://[\w.-]*switchyard[\w.-]*")
    found = {
        home
        for file in ("pyproject.toml", "SECURITY.md")
        for home in homes.findall((ROOT / file).read_text())
    }
    assert len(found) == 1, found


INTERNALS = ROOT / "docs" / "internals.md"
#: A row of a table: the file in its first cell, and the rest.
ROW = re.compile(r"^\| `([^`]+)` \| (.+) \|$", re.MULTILINE)
CALL = re.compile(r"(?:(\w+)\.)?(\w+)\(\)")


def in_the_tree(path: str) -> Path:
    """A path of the page on internals."""
    return (
        ROOT / path if path.startswith(("scheduler/", "workers/")) else ROOT / "scheduler/switchyard" / path
    )


@cache
def defined(module: Path) -> frozenset[str]:
    """Its functions and classes, and its methods with and without the name of their class."""
    names = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{each.name}" for each in node.body if isinstance(each, ast.FunctionDef)}
    return frozenset(names)


@pytest.mark.parametrize("row", ROW.findall(INTERNALS.read_text()), ids=lambda row: row[0])
def test_internals_name_what_the_file_defines(row: tuple[str, str]) -> None:
    """Broken if a function moved, and a newcomer who follows the page looks for it in vain."""
    file = in_the_tree(row[0])
    assert file.is_file(), f"docs/internals.md names {row[0]}"
    for code in CODE.findall(row[1]):
        if match := CALL.fullmatch(code):
            wanted = ".".join(filter(None, match.groups()))
            assert wanted in defined(file), f"docs/internals.md looks for {code} in {row[0]}"


def test_the_text_of_internals_names_what_there_is() -> None:
    """Broken if a method that the text calls by its class is gone."""
    ours = [path for room in ("scheduler", "workers") for path in (ROOT / room).rglob("*.py")]
    known = frozenset[str]().union(*map(defined, ours))
    for code in CODE.findall(ROW.sub("", prose(INTERNALS))):
        if match := CALL.fullmatch(code):
            assert ".".join(filter(None, match.groups())) in known, f"docs/internals.md names {code}"


def test_every_arrow_of_the_diagram_is_a_script() -> None:
    """Broken if an operation moves messages and the diagram does not have it, or has one that is gone."""
    diagram = INTERNALS.read_text().partition("```mermaid")[2].partition("```")[0]
    arrows = {
        name for names in re.findall(r"-->.+: (.+)$", diagram, re.MULTILINE) for name in names.split(", ")
    }
    moves = {
        file.stem
        for file in (ROOT / "scheduler/switchyard/lua/cluster").glob("*.lua")
        if "Invariant 1" in file.read_text() or file.stem in ("settle", "purge")
    }
    assert arrows == moves


def said_by_a_node() -> set[str]:
    """The longest fixed part of each line that a node logs when something is wrong."""
    nodes = [
        ROOT / "workers" / "switchyard_workers" / f"{module}.py" for module in ("agent", "apart", "reaper")
    ]
    constants = {
        each.value
        for module in nodes
        for each in ast.walk(ast.parse(module.read_text()))
        if isinstance(each, ast.Constant) and isinstance(each.value, str) and re.search(r"%[sd]", each.value)
    }
    return {max(re.split(r"%[sd]", line), key=len).strip(" .:;(") for line in constants} - {""}


def test_every_warning_of_a_node_is_explained() -> None:
    """Broken if somebody finds a line in the log, and nothing that says what it means."""
    lines = said_by_a_node()
    assert len(lines) >= 10
    page = (ROOT / "docs" / "operations.md").read_text()
    assert {line for line in lines if line not in page} == set()
