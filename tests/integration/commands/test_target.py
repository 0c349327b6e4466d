"""What cannot be used is refused in one line, whatever the command."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from switchyard_workers.cli import main
from tests.support.commands import one_line, run


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("amqp://localhost", "needs Redis or Valkey"),
        ("foo://localhost", "No such transport"),
        ("redis://localhost:port", "'redis://localhost:port'"),
        ("redis://127.0.0.1:1/0", "no answer from the broker"),
    ],
)
def test_a_broker_that_cannot_be_used_is_one_line(url: str, says: str) -> None:
    """An operator would get a traceback for a typing error."""
    assert says in one_line(run("nodes", env={"SWITCHYARD_BROKER_URL": url}))


def test_a_password_is_not_shown_when_the_url_cannot_be_read() -> None:
    """A password with a slash in it would end in the log of whatever ran the command."""
    line = one_line(run("nodes", "--broker", "redis://:s3cr/et@localhost:6379/0"))
    assert "s3cr" not in line
    assert "percent-encode" in line


def test_a_server_that_accepts_and_says_nothing_is_given_up_on() -> None:
    """A command in a script would hang for ever on a server that hangs."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        assert "no answer from the broker" in one_line(run("nodes", "--broker", url))


@pytest.mark.parametrize(
    ("app", "says"),
    [
        ("nosuch.module", "current directory holds it"),
        ("imports", "imports.py line 2"),
        ("spelt", "spelt.py line 1"),
        ("shop", "celery.py line 1"),
        ("json:loads", "not a Celery application"),
        ("broken", "broken.py line 1"),
        ("plain", "switchyard.install(app)"),
        ("misconfigured", "did you mean 'lease'?"),
    ],
)
def test_an_application_that_cannot_be_used_is_one_line(tmp_path: Path, app: str, says: str) -> None:
    """An operator would read Celery's traceback instead of what to do."""
    (tmp_path / "broken.py").write_text("1 / 0")
    (tmp_path / "spelt.py").write_text("def (")
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").touch()
    (tmp_path / "shop" / "celery.py").write_text("import absent_dependency")
    (tmp_path / "imports.py").write_text("import json\nimport absent_dependency")
    (tmp_path / "plain.py").write_text("from celery import Celery\napp = Celery('plain', broker='redis://')")
    (tmp_path / "wrong.toml").write_text("leas = 4")
    (tmp_path / "misconfigured.py").write_text(
        "from celery import Celery\nimport switchyard\n"
        "app = Celery('m', broker='redis://')\nswitchyard.install(app, config='wrong.toml')"
    )
    assert says in one_line(run("nodes", "-A", app, cwd=tmp_path))


def test_broken_settings_are_one_line(tmp_path: Path) -> None:
    """A typing error in the settings would show as a traceback, or not at all."""
    (tmp_path / "bad.toml").write_text("lease = [")
    done = run(
        "queues", "--broker", "redis://localhost", env={"SWITCHYARD_CONFIG": str(tmp_path / "bad.toml")}
    )
    assert "bad.toml is not valid TOML" in one_line(done)


@pytest.mark.parametrize(
    "arguments",
    [
        ("nodes",),
        ("nodes", "--frobnicate"),
        ("nodes", "--json", "--watch", "--broker", "redis://localhost"),
        ("queues", "-A", "a", "--broker", "redis://localhost"),
        ("drain", "--broker", "redis://localhost"),
        ("worker",),
        ("worker", "-A", "a", "--node", "no spaces"),
        ("worker", "-A", "a", "--slots", "0"),
        ("worker", "-A", "a", "--label", "novalue"),
        ("fly",),
    ],
)
def test_wrong_use_is_exit_code_two(arguments: tuple[str, ...]) -> None:
    """A script could not tell a wrong command line from a finding."""
    done = CliRunner().invoke(main, arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].startswith("Error: ")
