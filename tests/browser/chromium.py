"""Debian's Chromium, without a window."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

#: Its own housekeeping would reach out into the network; a container has no sandbox and no GPU for it.
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def path() -> str | None:
    """Where it is, if this machine has it."""
    return shutil.which("chromium")


def is_required() -> bool:
    """Whether a browser that is missing is an error: ``.ci/run`` says so."""
    return os.environ.get("CI") == "1"


@contextmanager
def running() -> Iterator[Browser]:
    """A browser until the block ends."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path(), args=[*_ARGUMENTS])
        try:
            yield browser
        finally:
            browser.close()
