"""The tests with each version of Celery that people run: ``nox --session compat-5.4``, or all of them.

A session is a pair of Celery and the newest kombu and redis-py that it allows, pinned in ``requirements/``.
It runs on the Python that runs nox; ``--force-python 3.13`` takes another.
"""

from __future__ import annotations

import nox

nox.options.default_venv_backend = "uv"
nox.options.sessions = ["compat-5.4", "compat-5.5", "compat-5.6", "compat-5.7"]

#: What a version of Celery could break: everything but whole demos, the browser and chaos.
EVERYTHING = ("tests/unit", "tests/integration", "tests/cluster/test_celery_semantics.py")
#: In two or three minutes, for every change: what we rely on, the ways to it, each pool; no bounded times.
SELECTION = (
    "tests/unit/adapters",
    "tests/unit/placement",
    "tests/unit/transport",
    "tests/integration/adapters",
    "tests/integration/transport",
    "tests/cluster/test_celery_semantics.py::test_canvas_retry_and_eta_on_every_pool",
)


def _compat(session: nox.Session, version: str) -> None:
    """Run the tests with a pair; ``-- --selection`` takes those of every change, other words go to pytest."""
    session.install(
        "--compile-bytecode", "--constraint", f"requirements/compat-{version}.txt", "--editable", ".[dev]"
    )
    words = list(session.posargs)
    selected = "--selection" in words
    if selected:
        words.remove("--selection")
    tests = SELECTION if selected else EVERYTHING
    session.run("pytest", *tests, "--numprocesses", "3", "--dist", "loadgroup", "-m", "not timing", *words)
    if not selected:
        session.run("pytest", *tests, "-m", "timing", *words)


@nox.session(name="compat-5.4")
def compat_5_4(session: nox.Session) -> None:
    """Celery 5.4, kombu 5.4 and redis-py 5.0: the oldest pair."""
    _compat(session, "5.4")


@nox.session(name="compat-5.5")
def compat_5_5(session: nox.Session) -> None:
    """Celery 5.5, kombu 5.5 and redis-py 5.2."""
    _compat(session, "5.5")


@nox.session(name="compat-5.6")
def compat_5_6(session: nox.Session) -> None:
    """Celery 5.6, kombu 5.6 and redis-py 6.4."""
    _compat(session, "5.6")


@nox.session(name="compat-5.7")
def compat_5_7(session: nox.Session) -> None:
    """Celery 5.7, kombu 5.7 and redis-py 8.1: the newest pair, which ``make test`` takes as well."""
    _compat(session, "5.7")
