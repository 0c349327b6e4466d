"""What the dashboard is started with: options that Flower would ignore, and those that would harm."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from flower.options import options as flowers

from switchyard.errors import ConfigurationError
from switchyard.flower import options
from switchyard.flower.security import is_loopback, require_credentials, require_login
from switchyard_workers.cli import main
from tests.support.servers import Server

LOGIN: dict[str, Any] = {"basic_auth": ["ann:secret"]}
OAUTH: dict[str, Any] = {"auth": ".*@example.com", "auth_provider": "flower.views.auth.GithubLoginHandler"}


@pytest.fixture
def _restored() -> Iterator[None]:
    """Flower has one set of options for the whole process: leave it as it was."""
    before = flowers.as_dict()
    yield
    for name, value in before.items():
        flowers._options[name.replace("_", "-")]._value = value


def wish(**said: Any) -> Any:
    return SimpleNamespace(**{"basic_auth": None, "auth": "", "unix_socket": "", "address": "", **said})


@pytest.mark.parametrize("address", ["", "0.0.0.0", "::", "10.1.2.3", "dashboard.example"])
def test_an_open_address_needs_a_login(address: str) -> None:
    """The cluster would be open to the network because somebody forgot an option."""
    with pytest.raises(ConfigurationError, match="--basic-auth"):
        require_login(wish(address=address), insecure=False)
    require_login(wish(address=address), insecure=True)
    require_login(wish(address=address, **LOGIN), insecure=False)
    require_login(wish(address=address, **OAUTH), insecure=False)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_a_loopback_address_needs_none(address: str) -> None:
    """Nobody could try the dashboard on a laptop without inventing a password."""
    assert is_loopback(address)
    require_login(wish(address=address), insecure=False)


@pytest.mark.parametrize(
    ("logins", "why"),
    [
        (["ann:p", "ord"], "login 2 of 2 .* a password that has one into flowerconfig.py"),
        (["ann"], "login 1 of 1 .* USER:PASSWORD"),
        (["ann:"], "USER:PASSWORD"),
        (["j\u00fcrgen:secret"], "outside ASCII"),
    ],
)
def test_a_login_that_lets_nobody_in_is_refused(logins: list[str], why: str) -> None:
    """Everybody would be locked out, or half of a password would open the dashboard."""
    with pytest.raises(ConfigurationError, match=why) as raised:
        require_credentials(wish(basic_auth=logins))
    assert "ord" not in str(raised.value).replace("PASSWORD", "").replace("password", "")
    require_credentials(wish(basic_auth=["ann:p,o:rd"]))
    require_credentials(wish())


@pytest.mark.usefixtures("_restored")
@pytest.mark.parametrize(
    ("arguments", "env", "message"),
    [
        (("--basic-atuh", "a:b"), {}, "Did you mean"),
        (("--address", "0.0.0.0"), {}, "--insecure"),
        ((), {"FLOWER_ADDRESS": "0.0.0.0"}, "--insecure"),
        ((), {"FLOWER_BASIC_ATUH": "a:b"}, "did you mean 'FLOWER_BASIC_AUTH'?"),
        (("--port", "eighty"), {}, "--port is 'eighty'; give a whole number"),
        ((), {"FLOWER_PORT": "eighty"}, "FLOWER_PORT is 'eighty'; give a whole number"),
        ((), {"FLOWER_PERSISTENT": "perhaps"}, "FLOWER_PERSISTENT is 'perhaps'; give True or False"),
        (("--basic-auth", "ann:p,ord"), {}, "login 2 of 2 of --basic-auth is not USER:PASSWORD"),
        (("--conf", "/nowhere.py"), {}, "/nowhere.py"),
        (("--certfile", "/nowhere", "--keyfile", "/nowhere"), {}, "--certfile /nowhere is no file; name"),
    ],
)
def test_wrong_options_are_refused_in_one_line(
    clean_valkey: Server, arguments: tuple[str, ...], env: dict[str, str], message: str
) -> None:
    """A misspelt --basic-auth would leave the dashboard open, as it does with plain Flower."""
    done = CliRunner().invoke(main, ["flower", "-A", "tests.support.app", *arguments], env=env)
    assert done.exit_code in (1, 2), done
    assert message in done.output.splitlines()[-1]


@pytest.mark.usefixtures("_restored")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("basic_atuh = ['a:b']\n", "unknown option 'basic_atuh' in .*; did you mean 'basic_auth'"),
        ("port = \n", "not valid Python"),
        ("port = 'eighty'\n", "Flower's options"),
    ],
)
def test_a_configuration_file_is_checked_as_well(tmp_path: Path, text: str, message: str) -> None:
    """A misspelt option in flowerconfig.py would be ignored, as it is by plain Flower."""
    path = tmp_path / "flowerconfig.py"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        options.read({"conf": str(path)})


@pytest.mark.usefixtures("_restored")
def test_the_command_line_goes_over_the_file_and_that_over_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator's option would have no effect, or the address would be Flower's: every one."""
    path = tmp_path / "flowerconfig.py"
    path.write_text("_team = ['ann:1', 'bob:2']\nbasic_auth = _team\nport = 2\nmax_tasks = 2\n")
    for name in ("PORT", "MAX_TASKS", "MAX_WORKERS"):
        monkeypatch.setenv(f"FLOWER_{name}", "1")
    monkeypatch.setenv("FLOWER_ADDRESS_SERVICE_HOST", "and such a one")
    monkeypatch.setenv("FLOWER_PORT_5555_TCP_ADDR", "kubernetes sets such a variable for a service")
    chosen, _ = options.read({"conf": str(path), "port": "3", "persistent": "True"})
    assert (chosen.port, chosen.max_tasks, chosen.max_workers, chosen.persistent) == (3, 2, 1, True)
    assert (chosen.basic_auth, chosen.address) == (["ann:1", "bob:2"], "127.0.0.1")


@pytest.mark.usefixtures("_restored")
def test_a_service_called_flower_does_not_choose_the_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """In Kubernetes the dashboard would not start beside a service called flower."""
    monkeypatch.setenv("FLOWER_PORT", "tcp://10.96.0.7:5555")
    before = flowers.port
    assert options.read({})[0].port == before
    assert os.environ["FLOWER_PORT"] == "tcp://10.96.0.7:5555"
