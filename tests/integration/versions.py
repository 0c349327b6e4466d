"""What a test needs of the installed kombu; without it the test is skipped, and says so."""

from __future__ import annotations

import kombu
import pytest

from switchyard.adapters.kombu_redis.features import EXPIRES_QUEUES, HAS_BATCHES

needs_batches = pytest.mark.skipif(
    not HAS_BATCHES, reason=f"kombu {kombu.__version__} has no Producer.batch: that came with 5.7"
)
needs_expiry = pytest.mark.skipif(
    not EXPIRES_QUEUES, reason=f"kombu {kombu.__version__} expires no queues on Redis: that came with 5.7"
)
