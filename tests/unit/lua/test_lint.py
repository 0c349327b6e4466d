"""The lint of the Lua operations finds what it is there for."""

from __future__ import annotations

import pytest

from switchyard.lua import LuaFile
from tests.lua_lint import lint

RING = LuaFile(
    "includes/ring", "-- Rings.\n\nlocal function ring(bell)\n  redis.call('DEL', bell)\nend\n", (), ()
)


def problems(body: str, includes: tuple[str, ...] = (), names: tuple[str, ...] = ()) -> set[str]:
    """What is wrong with an operation of this text."""
    file = LuaFile("room/do", f"-- Does.\n\n{body}\n", includes, names)
    files = [RING, file] if "ring" in includes else [file]
    spelt = f"local {', '.join(names)} = 1" if names else ""
    return lint(files, "\n".join([spelt, *(each.text for each in files)]))


@pytest.mark.parametrize(
    "body",
    [
        "local a, b = unpack(ARGV)\nreturn a .. b",
        "local t = {x = 1, [KEYS[1]] = 2}\nt.y = #t\nreturn t",
        "for i, _ in ipairs(ARGV) do redis.call('GET', i) end",
        "for i = 1, #ARGV, 2 do redis.call('GET', i) end\nreturn 1",
        "local n = 0\nrepeat\n  local more = n < 9\n  n = n + 1\nuntil not more\nreturn n",
        "local function f(x) if x > 0 then return f(x - 1) else return x end end\nreturn f(3)",
        "table.sort(ARGV, function(a, b) return tonumber(a) > tonumber(b) end)\nreturn ARGV",
    ],
)
def test_what_is_right_is_let_alone(body: str) -> None:
    """Broken if nobody could land a change to Lua."""
    assert problems(body) == set()


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("return now_ms()", "room/do.lua:3: now_ms is not defined"),
        ("local a = 1\n\nreturn b", "room/do.lua:5: b is not defined"),
        ("local a = 1\nreturn 2", "room/do.lua:3: nobody reads a"),
        ("local function f(a, b) return a end\nreturn f(1)", "room/do.lua:3: nobody reads b"),
        ("for i = 1, 2 do redis.call('PING') end", "room/do.lua:3: nobody reads i"),
        ("if KEYS[1] then local a = 1 end", "room/do.lua:3: nobody reads a"),
        ("local a = 1\nlocal a = 2\nreturn a", "room/do.lua:4: a is declared twice"),
        ("a = 1", "room/do.lua:3: a is assigned to and not local"),
        ("function f() end", "room/do.lua:3: a function that is not local is refused by the server"),
        ("return 7 // 2", "room/do.lua:3: FloorDivOp is not Lua 5.1"),
        ("do local a = 1 end\nreturn a", "room/do.lua:4: a is not defined"),
        (f"-- {'x' * 120}\nreturn 1", "room/do.lua:3: 123 characters, more than 120"),
    ],
)
def test_what_is_wrong_is_found_where_it_is(body: str, problem: str) -> None:
    """Broken if a slip showed only when the server runs that very line."""
    assert problem in problems(body)


def test_what_does_not_parse_is_found() -> None:
    """Broken if a script could be sent that no server compiles."""
    assert any("syntax error" in problem for problem in problems("local = 1"))


def test_a_header_asks_for_what_its_file_uses_and_for_nothing_else() -> None:
    """Broken if scripts carried functions that nobody calls, or lent them from another file's header."""
    assert problems("ring(BELL)", ("ring",), ("BELL",)) == set()
    assert problems("return 1", ("ring",)) == {
        "includes/ring.lua:3: nobody reads ring",
        "room/do.lua:1: ring is asked for and not used",
    }
    unused = problems("return 1", (), ("BELL",))
    assert "room/do.lua:1: BELL is asked for and not used" in unused
