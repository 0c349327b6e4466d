"""The two sides of every comparison, and the databases that keep them apart on one server."""

from __future__ import annotations

from enum import StrEnum

#: Database that tasks report to; neither side's broker is slowed down or measured by it.
LEDGER_DB = 2
#: Database that keeps backlogs to copy from.
STORE_DB = 3


class Side(StrEnum):
    """Plain Celery, or Celery with Switchyard installed."""

    STOCK = "stock"
    OURS = "ours"

    @property
    def db(self) -> int:
        """The side's own database."""
        return 0 if self is Side.STOCK else 1


def turns(index: int) -> tuple[Side, Side]:
    """Both sides, a different one first every time: whatever drifts, drifts against both alike."""
    return (Side.STOCK, Side.OURS) if index % 2 == 0 else (Side.OURS, Side.STOCK)
