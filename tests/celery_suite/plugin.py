"""A pytest plugin for Celery's own tests: it installs Switchyard on their applications, and keeps outcomes.

It knows nothing of our tests, because it runs in an environment of its own.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import celery.contrib.pytest
import celery.contrib.testing.app
import pytest

#: Where outcomes go, a line each; and whether Switchyard is installed.
OUTCOMES, INSTALL = "SUITE_OUTCOMES", "SUITE_INSTALL"


def pytest_configure() -> None:
    """Let every application that the suite's fixtures make use Switchyard."""
    if os.environ.get(INSTALL) != "1":
        return
    import switchyard

    plain = celery.contrib.testing.app.TestApp

    def installed(*args: Any, **kwargs: Any) -> Any:
        app = plain(*args, **kwargs)
        switchyard.install(app)
        return app

    celery.contrib.testing.app.TestApp = installed
    celery.contrib.pytest.TestApp = installed


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: Any) -> Generator[None, Any, Any]:
    """Keep the outcome of each test; of one that is run again, each time."""
    report = yield
    if report.when == "call" or report.outcome != "passed":
        expected = "x" if hasattr(report, "wasxfail") else ""
        with Path(os.environ[OUTCOMES]).open("a", encoding="utf-8") as outcomes:
            outcomes.write(f"{expected}{report.outcome} {item.nodeid}\n")
    return report
