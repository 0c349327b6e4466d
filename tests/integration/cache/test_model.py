"""The cache against a model, while its servers are killed, emptied, paused and revived."""

from __future__ import annotations

import pytest

from tests.support.cache import machine as cache_machine


@pytest.mark.timeout(300)
def test_the_cache_agrees_with_a_model_whatever_happens_to_one_server() -> None:
    """Broken if a key that was set cannot be read, or a deleted or replaced value is seen again."""
    cache_machine.check(examples=3, steps=8, number=6)
