"""A server whose clock a test can move: only the server's, as NTP or a failover moves it."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import clock
from tests.support.servers import Server, answers, free_port
from tests.support.waiting import wait_until


@dataclass(frozen=True, slots=True)
class SteppedServer(Server):
    """A server with a clock that is ``offset`` seconds ahead of the machine's."""

    offset: Path = Path()

    def step(self, seconds: float) -> None:
        """Set the clock so far from the machine's, at once for all that the server reads from then on."""
        client = self.client()
        try:
            clock.step(self.offset, client, seconds)
        finally:
            client.close()


@contextmanager
def stepped_server() -> Iterator[SteppedServer]:
    """A server of its own on a clock of its own; skips the test where there is no libfaketime, but in CI."""
    if not clock.LIBRARIES:
        if os.environ.get("CI"):
            raise AssertionError("libfaketime is missing; apt-get install faketime")
        pytest.skip("needs libfaketime (apt-get install faketime)")
    with tempfile.TemporaryDirectory() as folder:
        offset = Path(folder, "offset")
        server = SteppedServer("valkey", free_port(), offset)
        process = _start(server, folder)
        try:
            wait_until(lambda: answers(server), f"the server answers on {server.port}")
            yield server
        finally:
            process.kill()
            process.wait()


def _start(server: SteppedServer, folder: str) -> subprocess.Popen[bytes]:
    command = [clock.PROGRAM, "--port", str(server.port), "--bind", "127.0.0.1"]
    command += ["--save", "", "--databases", "64", "--dir", folder]
    return subprocess.Popen(
        command,
        env={**os.environ, **clock.environment(server.offset)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
