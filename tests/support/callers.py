"""A process full of callers of one cached task, who all call at the same moment and say what they got.

    python -m tests.support.callers SKU CALLERS SECONDS

The moment is when the key ``go`` appears in database 63; each caller then leaves a line in ``got SKU``.
"""

from __future__ import annotations

import os
import sys
import threading

import redis

from tests.support.app import make_app
from tests.support.waiting import wait_until


def main(sku: str, callers: int, seconds: float) -> None:
    """Wait for the signal, call, report."""
    broker = os.environ["TEST_BROKER"]
    app = make_app(broker)
    ledger = redis.Redis.from_url(broker.rpartition("/")[0] + "/63")
    together = threading.Barrier(callers)

    def call() -> None:
        together.wait(60)
        result = app.tasks["price"].delay(sku, seconds=seconds)
        value = result.get(timeout=60)
        ledger.rpush(f"got {sku}", f"{result.id} {value}")

    threads = [threading.Thread(target=call) for _ in range(callers - 1)]
    for thread in threads:
        thread.start()
    ledger.incr("callers ready")
    wait_until(lambda: ledger.exists("go"), "the signal to go", timeout=60)
    call()
    for thread in threads:
        thread.join(60)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
