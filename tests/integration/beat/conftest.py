"""What tests of periodic entries start with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.beat import Bed
from tests.support.servers import Server


@pytest.fixture
def bed(clean_valkey: Server) -> Iterator[Bed]:
    made = Bed(clean_valkey)
    yield made
    made.sender.close()
    made.app.close()
