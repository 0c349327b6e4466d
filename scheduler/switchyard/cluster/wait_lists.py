"""Wait lists by their names: a name says which queue, which priority, and which nodes may run the tasks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from switchyard.cluster.decoding import text
from switchyard.cluster.keys import Keys
from switchyard.cluster.strangers import Rows, read_rows
from switchyard.models import Selector


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


def lists_for(
    keys: Keys, names: Iterable[str | bytes], queues: Collection[str], node: str, labels: Mapping[str, str]
) -> tuple[tuple[int, str], ...]:
    """Those wait lists that a node with these queues and labels may claim from, with their priority steps."""
    found = read_wait_lists(keys, names).read
    mine = [wait for wait in found if wait.queue in queues and wait.selector.allows(node, labels)]
    return tuple(sorted((wait.step, wait.key) for wait in mine))


def _read(keys: Keys, name: str | bytes) -> WaitList:
    key = text(name)
    selector = Selector.loads(keys.selector_of(key))
    # A later version may ask for more than we can look at: its tasks are not for us.
    if selector.dumps() != keys.selector_of(key):
        raise ValueError("the selector is not as this version writes it")
    return WaitList(key, keys.queue_of(key), keys.priority_of(key), selector)
