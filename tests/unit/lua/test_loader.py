"""The Lua operations as they are sent: each with what it includes, and no key's name spelt again."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from switchyard import lua
from switchyard.cluster import keys
from switchyard.cluster.keys import LUA_NAMES, Keys
from switchyard.cluster.runner import operation
from switchyard.lua import INCLUDES, BrokenScript, names_in, operations, script

FILES = [*operations(), *names_in(INCLUDES)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of Lua files in place of ours."""
    for room in ("room", INCLUDES):
        (tmp_path / room).mkdir()
    monkeypatch.setattr(lua, "_folder", lambda: tmp_path)
    lua.script.cache_clear()
    lua.lua_file.cache_clear()
    yield tmp_path
    lua.script.cache_clear()
    lua.lua_file.cache_clear()


def test_includes_stand_in_front_of_who_needs_them_and_once(folder: Path) -> None:
    """Broken if a function were called before it exists, or carried twice in each script."""
    (folder / "room/do.lua").write_text("-- Does.\n--\n-- include: a, b\n\nreturn a() + b()\n")
    (folder / "includes/a.lua").write_text("-- A.\n--\n-- include: c\n\nlocal function a() return c() end\n")
    (folder / "includes/b.lua").write_text("-- B.\n--\n-- include: c\n\nlocal function b() return c() end\n")
    (folder / "includes/c.lua").write_text("-- C.\n\nlocal function c() return 1 end\n")
    source = script("room/do").source.decode()
    assert re.findall(r"function (\w)", source) == ["c", "a", "b"]
    assert source.endswith("return a() + b()\n")


def test_functions_that_include_each_other_are_refused(folder: Path) -> None:
    """Broken if a process hung on such a slip, or died of a recursion that does not say where."""
    (folder / "room/do.lua").write_text("-- include: a\n\nreturn a()\n")
    (folder / "includes/a.lua").write_text("-- include: b\n\nlocal function a() end\n")
    (folder / "includes/b.lua").write_text("-- include: a\n\nlocal function b() end\n")
    with pytest.raises(BrokenScript, match="includes/a -> includes/b -> includes/a"):
        script("room/do")


def test_a_function_that_there_is_not_is_named(folder: Path) -> None:
    """Broken if a slip showed as an error of the server, in production."""
    (folder / "room/do.lua").write_text("-- include: gone\n\nreturn gone()\n")
    with pytest.raises(BrokenScript, match=r"includes/gone\.lua"):
        script("room/do")


def test_a_name_that_nobody_spells_is_named(folder: Path) -> None:
    """Broken if a key were built from nothing."""
    (folder / "room/do.lua").write_text("-- names: BELL, GONG\n\nreturn BELL .. GONG\n")
    with pytest.raises(BrokenScript, match=r"room/do\.lua asks for the name GONG"):
        script("room/do", (("BELL", "bell:"),))


def test_names_are_spelt_for_lua(folder: Path) -> None:
    """Broken if a separator, which is a control character, came out as something else."""
    (folder / "room/do.lua").write_text("-- names: A, B\n\nreturn A .. B\n")
    source = script("room/do", (("B", "\x1f"), ("A", "é':x"))).source.decode()
    assert source.startswith(r"local A, B = '\195\169\039:x', '\031'")


@pytest.mark.parametrize("name", operations())
def test_every_operation_can_be_put_together(name: str) -> None:
    """Broken if a file asks for a function or a name that there is not."""
    assert operation(name).source


@pytest.mark.parametrize("name", names_in(INCLUDES))
def test_an_include_is_one_function_of_its_own_name(name: str) -> None:
    """Broken if nobody could tell from a header which file a function is in."""
    body = lua.lua_file(name).text
    assert re.findall(r"^local function (\w+)", body, re.MULTILINE) == [Path(name).name]
    assert not re.findall(r"^(?!--|local function|end$| |$)", body, re.MULTILINE)


def key_parts() -> set[str]:
    """What stands between prefix and argument in a key's name, of every key that is for something."""
    of = Keys()
    methods = {
        name: method
        for name, method in inspect.getmembers(of, inspect.ismethod)
        if not name.startswith("_") and not name.endswith("_of") and name != "shared"
    }
    made = [method(*["X"] * len(inspect.signature(method).parameters)) for method in methods.values()]
    return {name.removeprefix(of.prefix).partition("X")[0] for name in made}


@pytest.mark.parametrize("name", FILES)
def test_no_key_name_is_spelt_in_lua(name: str) -> None:
    """Broken if a key that is renamed in keys.py were still written under its old name by a script."""
    code = re.sub(r"--.*", "", lua.lua_file(name).text)
    assert key_parts() >= {keys.NODE, keys.BELL, keys.WAIT, keys.DEAD}
    spelt = {*key_parts(), *dict(LUA_NAMES).values()}
    literals = [double or single for double, single in re.findall(r'"([^"]*)"|\'([^\']*)\'', code)]
    assert not spelt & {literal.encode().decode("unicode_escape") for literal in literals}
    assert not re.search(r"prefix\s*\.\.\s*['\"]", code), "only prefix .. NAME; see LUA_NAMES in keys.py"
    assert not re.search(r"ARGV\[\d+\]\s*\.\.\s*['\"][a-z]+:", code), "a key of an argument and a literal"
