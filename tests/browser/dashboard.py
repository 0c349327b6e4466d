"""A real dashboard process, and the browser that looks at it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.support.nodes import APP, ROOT, environment
from tests.support.servers import Server, free_port
from tests.support.waiting import wait_until

#: Every page of ours, and where it is.
PAGES = ("nodes", "queues", "dead", "timeline")

#: Chromium's own housekeeping would reach out into the network.
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A ``switchyard flower`` process and its address."""

    process: subprocess.Popen[bytes]
    url: str

    def kill(self) -> None:
        """SIGKILL it."""
        self.process.kill()
        self.process.wait(10)


def chromium() -> str | None:
    """Debian's Chromium, if this machine has it."""
    return shutil.which("chromium")


def is_ci() -> bool:
    """Whether a browser that is missing is an error: ``.ci/run`` says so."""
    return os.environ.get("CI") == "1"


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser without a window."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium(), args=[*_ARGUMENTS])
        yield running
        running.close()


@contextmanager
def dashboard(server: Server, log: Path, *options: str, port: int = 0) -> Iterator[Dashboard]:
    """Run ``switchyard flower`` on a server until the block ends."""
    port = port or free_port()
    command = [sys.executable, "-m", "workers.cli", "flower", "-A", APP, "--port", str(port), *options]
    with log.open("ab") as out:
        process = subprocess.Popen(command, env=environment(server), cwd=ROOT, stdout=out, stderr=out)
    running = Dashboard(process, f"http://127.0.0.1:{port}")
    try:
        wait_until(lambda: _answers(running), f"the dashboard answers, see {log}", timeout=40)
        yield running
    finally:
        running.kill()


def _answers(running: Dashboard) -> bool:
    assert running.process.poll() is None, "the dashboard ended"
    try:
        with urllib.request.urlopen(f"{running.url}/api/cluster", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False
