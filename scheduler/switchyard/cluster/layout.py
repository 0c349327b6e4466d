"""The layout of what is in Redis has a number, so that two versions never read each other's state wrongly.

It grows when a version writes what the one before it cannot read, or the other way round; a key or a field
that the others can ignore is no new layout. Versions of one layout serve the same queues side by side.
"""

from __future__ import annotations

from switchyard.cluster.keys import Keys
from switchyard.errors import OtherLayout

#: The layout that this version reads and writes. The first versions wrote layout 1 without its number.
LAYOUT = 1


def other_layout(keys: Keys, found: str) -> OtherLayout | None:
    """The refusal to work on state of this layout; None if it is ours."""
    if found == str(LAYOUT):
        return None
    if found.isdecimal() and int(found) < LAYOUT:
        return OtherLayout(
            f"the cluster's state has the older layout {found}, this version writes {LAYOUT}; let the nodes "
            f"of the older version finish, stop them, delete the keys {keys.prefix}* and start this one"
        )
    return OtherLayout(
        f"the cluster's state has the newer layout {found}, this version reads {LAYOUT}; "
        "install the version of Switchyard that the other nodes run"
    )
