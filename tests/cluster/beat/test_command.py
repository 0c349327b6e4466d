"""``switchyard beat`` as a user runs it: the example of docs/beat.md, in real processes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from switchyard.beat.leadership import leadership
from tests.support.nodes import ROOT, state_of
from tests.support.servers import Server
from tests.support.waiting import wait_until

DOCS = (ROOT / "docs" / "beat.md").read_text()


@pytest.fixture
def shop(clean_valkey: Server, tmp_path: Path) -> Path:
    """A folder with the application of the documentation, on a server of this run."""
    (example,) = re.findall(r"```python\n(# shop\.py\n.*?)```", DOCS, re.DOTALL)
    (tmp_path / "shop.py").write_text(example.replace("redis://localhost:6379/0", clean_valkey.url()))
    return tmp_path


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "switchyard_workers.cli", "beat", "-A", "shop", *arguments]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}


def run(shop: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        cwd=shop,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextmanager
def beat(shop: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    with (shop / "beat.log").open("ab") as log:
        process = subprocess.Popen(command(*arguments), cwd=shop, env=environment(), stdout=log, stderr=log)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        process.wait(10)


def listed(shop: Path) -> Any:
    done = run(shop, "--list", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def ticks(server: Server) -> list[str]:
    client = server.client()
    try:
        return [json.loads(message)["headers"]["task"] for message in client.lrange("celery", 0, -1)]
    finally:
        client.close()


def leading(server: Server) -> int | None:
    """The process that leads."""
    found = leadership(state_of(server), "beat:redbeat:")
    return found.pid if found else None


def test_the_example_runs_and_the_standby_takes_over(shop: Path, clean_valkey: Server) -> None:
    """The documentation would be wrong, a killed leader not be replaced, or a stopped one be waited for."""
    nobody = listed(shop)
    assert (nobody["leader"], nobody["entries"]) == (None, [])
    with beat(shop, "--ttl", "2") as first:
        wait_until(lambda: ticks(clean_valkey), "the first tick is sent", timeout=30)
        with beat(shop, "--ttl", "2") as second:
            wait_until(lambda: "Leads" in (shop / "beat.log").read_text(), "the first leads")
            found = listed(shop)
            assert found["leader"]["pid"] == first.pid
            entries = {entry["name"]: entry for entry in found["entries"]}
            assert entries["poll"]["last_run"] < entries["poll"]["next_run"]
            assert entries["bill"]["next_run"][11:16] == "02:30"
            assert (entries["bill"]["last_run"], entries["bill"]["missed"]) == (None, "all")
            first.kill()
            wait_until(lambda: leading(clean_valkey) == second.pid, "the standby leads")
            sent = len(ticks(clean_valkey))
            wait_until(lambda: len(ticks(clean_valkey)) > sent, "the next tick is sent", timeout=10)
            second.send_signal(signal.SIGTERM)
            assert second.wait(10) == 0, (shop / "beat.log").read_text()
            assert leading(clean_valkey) is None
    assert set(ticks(clean_valkey)) == {"shop.poll"}
    assert "Process" not in run(shop, "--list").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--detach"], 2, "No such option"),
        (["--ttl", "60"], 2, "is not in the range"),
        (["--json"], 2, "--json goes with --list"),
    ],
)
def test_what_it_does_not_know_is_an_error(shop: Path, arguments: list[str], code: int, says: str) -> None:
    """An option of celery beat that has no meaning here would be ignored in silence."""
    done = run(shop, *arguments)
    assert done.returncode == code
    assert says in done.stderr


def test_a_missing_extra_is_one_line(shop: Path) -> None:
    """Who installed without the extra would get a traceback."""
    code = "import sys; sys.modules['redbeat'] = None; from switchyard_workers.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "beat", "-A", "shop"],
        cwd=shop, env=environment(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.strip().endswith("pip install 'celery-switchyard[beat]'")
    assert len(done.stderr.splitlines()) == 1


def test_a_wrong_entry_is_one_line(shop: Path) -> None:
    """A misspelt policy would be found in the next outage."""
    path = shop / "shop.py"
    path.write_text(path.read_text().replace('"missed": "all"', '"missed": "every"'))
    done = run(shop)
    assert done.returncode == 1
    assert "periodic entry 'bill'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_scheduler_of_others_is_refused_by_name(shop: Path) -> None:
    """Entries made in Django's admin would never be sent, without a word."""
    path = shop / "shop.py"
    path.write_text(
        path.read_text() + "app.conf.beat_scheduler = 'django_celery_beat.schedulers:DatabaseScheduler'\n"
    )
    for arguments in ((), ("--list",)):
        done = run(shop, *arguments)
        assert done.returncode == 1
        assert "beat_scheduler is django_celery_beat.schedulers.DatabaseScheduler" in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_a_log_file_that_cannot_be_written_is_one_line(shop: Path) -> None:
    """A typing error in a unit file would be a page of traceback."""
    done = run(shop, "--logfile", str(shop / "absent" / "beat.log"))
    assert done.returncode == 1
    assert done.stderr.strip().endswith("No such file or directory; name a file that can be written")
    assert len(done.stderr.splitlines()) == 1
