"""Which servers are let in."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from switchyard.cluster.keys import Keys
from switchyard.cluster.state import State
from switchyard.errors import ServerTooOld
from switchyard.transport.opening import require_supported


class _Says:
    """A server's word on itself."""

    def __init__(self, **info: str) -> None:
        self._info = info

    def info(self, _section: str) -> Mapping[str, str]:
        return self._info


@pytest.mark.parametrize(
    "info", [{"redis_version": "6.0.16"}, {"redis_version": "7.2.4", "valkey_version": "7.1.0"}]
)
def test_a_server_that_is_too_old_is_refused(info: dict[str, str]) -> None:
    """Scripts would fail in the middle of work on commands that the server does not know."""
    with pytest.raises(ServerTooOld, match="or later; upgrade the server"):
        require_supported(State(_Says(**info), Keys()))  # type: ignore[arg-type]
