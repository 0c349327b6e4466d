"""The examples of docs/coordination.md, each run on its own against a real server."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.servers import Server

PAGE = Path(__file__).parents[3] / "docs" / "coordination.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_the_examples_run(number: int, clean_valkey: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """Readers would copy code that does not work."""
    code = EXAMPLES[number].replace("redis://localhost:6379/0", clean_valkey.url())
    for database, name in enumerate(("one", "two", "three"), start=1):
        code = code.replace(f"redis://{name}.example:6379", clean_valkey.url(database))
    names: dict[str, object] = {"__name__": f"example_{number}"}
    exec(compile(code, f"{PAGE.name}, example {number + 1}", "exec"), names)
    if "charge" in names:
        assert names["charge"](7, amount=3) == 3  # type: ignore[operator]
    printed = capsys.readouterr().out
    assert "print" not in code or printed
    assert "is lost" not in printed
    if "tick in term" in code:
        begun = re.findall(r"leads in term (\d+)", printed)
        assert begun
        assert begun == re.findall(r"term (\d+) is over", printed)


def test_there_are_examples_of_all_three() -> None:
    """A change of the page's format would leave nothing to test."""
    for name in ("lock", "exclusive", "Election"):
        assert any(f"switchyard.{name}(" in example for example in EXAMPLES)
