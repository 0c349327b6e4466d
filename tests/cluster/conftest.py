"""A running node and the application that talks to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery

from tests.support.app import make_app
from tests.support.nodes import worker
from tests.support.servers import Server


@pytest.fixture
def app(clean_valkey: Server) -> Iterator[Celery]:
    """The producing side."""
    app = make_app(clean_valkey.url())
    yield app
    app.close()


@pytest.fixture(params=["threads", "prefork", "solo", "gevent"])
def any_pool(request: pytest.FixtureRequest, clean_valkey: Server, tmp_path: Path) -> Iterator[str]:
    """A node on each of Celery's pools in turn."""
    slots = 1 if request.param == "solo" else 2
    with worker(clean_valkey, tmp_path, slots=slots, pool=request.param):
        yield request.param
