"""Wait lists by their names: a name says which queue, which priority, and which nodes may run the tasks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from switchyard.cluster.keys import Keys
from switchyard.cluster.replies.answers import Look, Renewal
from switchyard.cluster.replies.decoding import text
from switchyard.cluster.replies.strangers import Rows, Stranger, read_rows
from switchyard.models import Selector

#: Wait lists that a heartbeat is told of, until a first scan is through, and later: some 30 us of the server.
_AT_FIRST, _LATER = 500, 25


@dataclass(frozen=True, slots=True)
class WaitList:
    """A wait list's key and what its name says."""

    key: str
    queue: str
    step: int
    selector: Selector


def read_wait_lists(keys: Keys, names: Iterable[str | bytes]) -> Rows[WaitList]:
    """The wait lists of these keys; a key that is no wait list's name is a stranger."""
    return read_rows("wait list", ((name, name) for name in names), lambda name: _read(keys, name))


class WaitLists:
    """Those wait lists with work that a node with these labels may claim from, learnt from its heartbeats.

    A heartbeat tells of a part of all there are. A list that a whole scan did not come by has no work left.
    """

    def __init__(self, keys: Keys, node: str, labels: Mapping[str, str]) -> None:
        self.look = Look(most=_AT_FIRST)
        self._keys = keys
        self._node = node
        self._labels = labels
        self._scan = 0
        self._met: dict[WaitList, int] = {}
        self._strange: set[str] = set()

    def learn(self, renewal: Renewal) -> list[Stranger]:
        """Take in what a heartbeat was told; the strangers among it that were not met before."""
        rows = read_wait_lists(self._keys, renewal.waiting)
        for wait in rows.read:
            if wait.selector.allows(self._node, self._labels):
                self._met[wait] = self._scan
        self.look = renewal.look
        if renewal.look.cursor == "0":
            self._met = {wait: scan for wait, scan in self._met.items() if scan == self._scan}
            self._scan += 1
            self.look = replace(renewal.look, most=_LATER)
        news = [stranger for stranger in rows.strange if stranger.what not in self._strange]
        self._strange |= {stranger.what for stranger in news}
        return news

    def mine(self, queues: Collection[str]) -> tuple[tuple[int, str], ...]:
        """The lists of these queues, with their priority steps."""
        return tuple(sorted((wait.step, wait.key) for wait in self._met if wait.queue in queues))


def _read(keys: Keys, name: str | bytes) -> WaitList:
    key = text(name)
    selector = Selector.loads(keys.selector_of(key))
    # A later version may ask for more than we can look at: its tasks are not for us.
    if selector.dumps() != keys.selector_of(key):
        raise ValueError("the selector is not as this version writes it")
    return WaitList(key, keys.queue_of(key), keys.priority_of(key), selector)
