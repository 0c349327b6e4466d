"""Settings are read from file and environment, and mistakes are named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from switchyard.errors import ConfigurationError
from switchyard.settings import Rule, Settings, load


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in [name for name in os.environ if name.startswith("SWITCHYARD_")]:
        monkeypatch.delenv(name)


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "switchyard.toml"
    path.write_text(text)
    return path


def test_a_file_with_rules_is_read(tmp_path: Path) -> None:
    """A deployment could not say how its tasks are placed."""
    settings = load(write(tmp_path, 'lease = 10\n[[rules]]\ntask = "reports.*"\nlabels = {gpu = "h100"}\n'))
    assert settings.lease == 10
    assert settings.rule_for("reports.daily").labels == {"gpu": "h100"}
    assert settings.rule_for("other").labels == {}


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One machine could not differ from the shared file."""
    monkeypatch.setenv("SWITCHYARD_LEASE", "7.5")
    monkeypatch.setenv("SWITCHYARD_LABELS", '{"zone": "a"}')
    settings = load(write(tmp_path, "lease = 10\n"))
    assert settings.lease == 7.5
    assert settings.labels == {"zone": "a"}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("_place = 3\n", ["'_place'", "switchyard.toml", "known are"]),
        ("_env_file = 3\n", ["'_env_file'", "switchyard.toml", "known are"]),
        ("leese = 3\n", ["'leese'", "switchyard.toml", "'lease'"]),
        ('[[rules]]\nstrateggy = "random"\n', ["strateggy", "switchyard.toml", "'strategy'"]),
        ("lease = \n", ["switchyard.toml", "not valid TOML", "line 1"]),
        ('lease = "soon"\n', ["'lease'", "switchyard.toml"]),
        ("lease = 1\nrenew = 1\n", ["lease", "twice"]),
        ('cache_servers = ["http://a"]\n', ["'cache_servers", "switchyard.toml", "no URL of a cache server"]),
        ('node = "a b"\n', ["'node'", "switchyard.toml", "is no node name", "no spaces"]),
        ('node = ""\n', ["'node'", "switchyard.toml", "is no node name"]),
        ('namespace = "a b"\nlease = "5s"\n', ["'namespace'", "(and 1 more)"]),
    ],
)
def test_mistakes_in_a_file_are_named(tmp_path: Path, text: str, parts: list[str]) -> None:
    """A misspelt or impossible setting would be ignored, or end in a traceback."""
    with pytest.raises(ConfigurationError) as caught:
        load(write(tmp_path, text))
    for part in parts:
        assert part in str(caught.value)
    what, _, mend = str(caught.value).partition("; ")
    assert what
    assert mend


def test_a_list_in_the_environment_that_is_no_json_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who writes a label as on the command line would not learn how to write it here."""
    monkeypatch.setenv("SWITCHYARD_LABELS", "zone=eu")
    with pytest.raises(ConfigurationError, match=r'"labels".*; write SWITCHYARD_LABELS.* as JSON'):
        load()


@pytest.mark.parametrize("url", ["http://u:secret@h", "redis://:sec/ret@h:6379"])
def test_a_wrong_url_shows_no_password(tmp_path: Path, url: str) -> None:
    """A password would end in the log of whatever starts with a wrong setting."""
    with pytest.raises(ConfigurationError) as told:
        load(write(tmp_path, f'cache_servers = ["{url}"]\n'))
    with pytest.raises(ConfigurationError) as raised:
        Settings(cache_servers=(url,))
    assert "sec" not in str(told.value) + str(raised.value)


def test_an_unknown_variable_is_named_with_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken if a misspelt variable is ignored, also by settings written in Python."""
    monkeypatch.setenv("SWITCHYARD_LEESE", "3")
    for make in (load, Settings):
        with pytest.raises(ConfigurationError, match=r"^unknown.*SWITCHYARD_LEESE.*'SWITCHYARD_LEASE'"):
            make()


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (lambda: Settings(leas=3), ["'leas'", "Settings()", "'lease'"]),  # type: ignore[call-arg]
        (lambda: Rule(strateggy="random"), ["'strateggy'", "Rule()", "'strategy'"]),  # type: ignore[call-arg]
        (lambda: Settings(rules=({"nod": "a"},)), ["'rules.0.nod'", "'node'"]),  # type: ignore[arg-type]
        (lambda: Settings(lease=1), ["lease", "twice"]),
    ],
)
def test_mistakes_in_python_are_named(make: Callable[[], object], parts: list[str]) -> None:
    """Broken if who writes settings in Python gets a page of pydantic's instead of one line."""
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert "\n" not in str(caught.value)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize(("name", "value"), [("LEASE", "soon"), ("RULES", '[{"tusk": "a"}]')])
def test_a_mistake_in_the_environment_is_not_said_to_be_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """Broken if somebody looks for a mistake in a file that has none."""
    monkeypatch.setenv(f"SWITCHYARD_{name}", value)
    with pytest.raises(ConfigurationError, match=f"in SWITCHYARD_{name}") as caught:
        load(write(tmp_path, "lease = 10\n"))
    assert "switchyard.toml" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["SERVICE_HOST", "SERVICE_PORT_HTTP", "PORT", "PORT_80_TCP", "PORT_80_TCP_ADDR"]
)
def test_what_kubernetes_sets_for_a_service_of_our_name_is_not_ours(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """An application would not start in a cluster that has a service called switchyard."""
    monkeypatch.setenv(f"SWITCHYARD_{name}", "10.0.0.1")
    assert load() == Settings()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A wrong path would silently mean the defaults."""
    with pytest.raises(ConfigurationError, match=r"nowhere\.toml"):
        load(tmp_path / "nowhere.toml")


def test_settings_do_not_change() -> None:
    """Two threads could see different rules."""
    from pydantic import ValidationError

    with pytest.raises(ValidationError):
        Settings().lease = 3  # type: ignore[misc]
