"""The append-only file as a crash of the whole machine leaves it: without what was not on the disk yet."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from pathlib import Path

#: Between two looks at the length, in seconds.
_LOOK = 0.01
#: Looks that are kept: more than two seconds of them.
_KEPT = 400


class Growth:
    """A thread that remembers how long the file was over the last seconds."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lengths: deque[tuple[float, Path, int]] = deque(maxlen=_KEPT)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="chaos-aof", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """No more looks."""
        self._stop.set()
        self._thread.join(5)

    def forget(self, seconds: float, before: float) -> int:
        """Cut off what was appended in the last ``seconds`` before this time. Returns how many bytes.

        The file keeps what it had at the first look within these seconds, so that never more is cut.
        """
        _, file, length = next(look for look in self._lengths if look[0] >= before - seconds)
        cut = file.stat().st_size - length
        os.truncate(file, length)
        return cut

    def _keep(self) -> None:
        while not self._stop.wait(_LOOK):
            if (file := log(self._folder)) is not None:
                self._lengths.append((time.monotonic(), file, file.stat().st_size))


def log(folder: Path) -> Path | None:
    """The file that the server in this folder appends to; None before it has one.

    Redis 7 and Valkey keep several in a folder of their own, of which the last grows; Redis 6.2 keeps one.
    """
    many = sorted((folder / "appendonlydir").glob("*.incr.aof"), key=lambda file: file.stat().st_mtime)
    one = folder / "appendonly.aof"
    return many[-1] if many else (one if one.exists() else None)
