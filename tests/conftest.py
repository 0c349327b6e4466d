"""Fixtures that every kind of test may use."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import _state
from hypothesis import settings

from switchyard import current_app
from tests.support import servers
from tests.support.servers import Server

# A shell ignores SIGINT for what it starts in the background, and that is inherited by the processes that
# tests start and send one.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples in every run, so that nobody's change fails on what another one did; and a busy machine is
# no slow test. HYPOTHESIS_PROFILE=explore looks for what nobody thought of, for nights.
settings.register_profile("fixed", derandomize=True, deadline=None, database=None)
settings.register_profile("explore", deadline=None, max_examples=2000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))

#: Folders and files whose tests run one after the other, in one process: chaos takes all of a small machine,
#: the browser's tests share a cluster that is slow to start, and two demos might choose the same port.
_IN_TURN = ("chaos", "browser", "test_demo")
_TESTS = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before xdist, which reads the marks in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let ``make test`` spread all tests but these over its processes."""
    for item in items:
        for name in {*item.path.relative_to(_TESTS).parts, item.path.stem} & set(_IN_TURN):
            item.add_marker(pytest.mark.xdist_group(name))


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test decides anything on the broker of an application that another one left behind."""
    monkeypatch.setattr(current_app, "_apps", [])
    monkeypatch.setattr(_state._tls, "current_app", None)
    monkeypatch.setattr(_state, "default_app", None)


@pytest.fixture(scope="session")
def valkey() -> Iterator[Server]:
    """The embedded server, one for the whole run."""
    with servers.running("valkey") as server:
        yield server


@pytest.fixture(scope="session", params=servers.kinds())
def any_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Each kind of server that this machine offers, in turn."""
    with servers.running(request.param) as server:
        yield server


@pytest.fixture
def server(any_server: Server) -> Server:
    """A server of each kind with empty databases."""
    client = any_server.client()
    client.flushall()
    client.close()
    return any_server


@pytest.fixture
def clean_valkey(valkey: Server) -> Server:
    """The embedded server with empty databases."""
    client = valkey.client()
    client.flushall()
    client.close()
    return valkey
