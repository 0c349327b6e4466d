"""One sweep through the entries that are due soon, in pages: 10,000 at once would make ticks wait."""

from __future__ import annotations

from collections.abc import Mapping

from switchyard.beat.storage import BATCH, Storage


class Sweep:
    """Entries that may be due up to ``horizon`` (s of Unix time), and their scores, in ``found``.

    It goes from the last one to the first: what the leader sends meanwhile moves from where it will read to
    where it has read. If somebody else moves an entry, another one may be left out, for the next sweep.
    """

    def __init__(self, storage: Storage, horizon: float) -> None:
        self.found: dict[str, float] = {}
        self._storage = storage
        self._horizon = horizon
        self._read = 0

    def turn(self) -> bool:
        """Read a page; whether it was the last."""
        page = self._storage.due(self._horizon, self._read)
        self._read += len(page)
        self.found.update(page)
        return len(page) < BATCH

    def moved(self, key: str, at: float) -> None:
        """The leader recorded meanwhile that an entry is due then."""
        if 0 <= at <= self._horizon:
            self.found[key] = at
        else:
            self.found.pop(key, None)

    def changed(self, expected: Mapping[str, float]) -> set[str]:
        """Those that were deleted or are due at another time than expected; asked for once more."""
        suspects = [key for key, at in expected.items() if self.found.get(key) != at]
        scores = self._storage.scores(suspects)
        return {key for key, at in zip(suspects, scores, strict=True) if at != expected[key]}
