"""Place, tick, claim and settle for whoever sends them over a connection of its own, and what they answer.

A producer pipelines placements, and a node's event loop must not wait for the reply to a claim.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from switchyard.adapters.redis_client import Argument
from switchyard.cluster.keys import Keys
from switchyard.cluster.replies.answers import Claimed, Settlement
from switchyard.cluster.replies.decoding import shown, text
from switchyard.cluster.runner import Call
from switchyard.models import Claim, Placement, Tick

#: Messages that one place may carry: some hundreds of kB at the most usual sizes.
PLACE_MAX = 200
#: Receipts that one settle may carry: Lua can unpack some thousands, a reply must stay small.
SETTLE_MAX = 500
#: Bytes of messages that one place carries or one claim takes, but for the last step: some milliseconds.
MESSAGES_BYTES = 2_000_000
#: How long the mark of a tick is kept, in us (7 days): longer than anybody lets a leader sleep and wake.
MARK_US = 604_800_000_000


def place(
    keys: Keys,
    placement: Placement,
    queue: str,
    ahead: Sequence[str],
    priority: int,
    messages: Sequence[str | bytes],
) -> Call:
    """Place up to PLACE_MAX messages. ``ahead`` lists go before them; the last of these is their own.

    An unbounded placement goes to the first candidate that is live, with all of the messages.
    """
    before = [keys.shared(name) for name in ahead]
    home = before[-1]
    if placement.selector:
        home = keys.wait(ahead[-1], placement.selector.dumps())
        before.append(home)
    touched = [
        keys.nodes,
        home,
        keys.idle(queue),
        keys.seq,
        keys.waiting,
        keys.queues,
        keys.counters,
        *before,
    ]
    for name in placement.candidates:
        touched += [keys.node(name), keys.inbox(name), keys.claims(name), keys.bell(name)]
    names = placement.candidates
    args: list[Argument] = [priority, "1" if placement.bounded else "0", keys.prefix, queue, len(before)]
    return Call("cluster/place", touched, [*args, len(names), placement.strategy, *names, *messages])


def tick(keys: Keys, placing: Call, ticks: Sequence[Tick]) -> Call:
    """Place each message of ``placing`` only if its tick, at the same position, was not sent before."""
    args = [*placing.args, *_marks(ticks), len(ticks)]
    return Call("beat/tick", [*placing.keys, keys.ticks], args)


def mark(keys: Keys, tick: Tick) -> Call:
    """Mark a tick as sent."""
    return Call("beat/mark", [keys.ticks], _marks([tick]))


def _marks(ticks: Sequence[Tick]) -> list[Argument]:
    return [*(part for tick in ticks for part in (tick.entry, tick.instant, tick.through)), MARK_US]


def claim(
    keys: Keys,
    name: str,
    epoch: str,
    want: int,
    queues: Sequence[str],
    groups: Sequence[Sequence[str]],
    fair: bool,
) -> Call:
    """Claim up to ``want`` messages, or some MB, from a node's inbox, then from ``groups`` of lists.

    ``fair`` takes turns among the lists of a group.
    """
    touched = [keys.node(name), keys.inbox(name), keys.claims(name), keys.seq, keys.deaths]
    touched += [keys.idle(queue) for queue in queues]
    touched += [home for group in groups for home in group]
    sizes = [len(group) for group in groups]
    turns = "1" if fair else "0"
    args: list[Argument] = [name, epoch, want, len(queues), turns, MESSAGES_BYTES, *sizes]
    return Call("cluster/claim", touched, args)


def read_claimed(reply: Sequence[Any]) -> Claimed:
    """What the server answered to :func:`claim`."""
    rows = zip(*(reply[at::5] for at in range(1, 6)), strict=True)
    claims = tuple(
        Claim(text(receipt), shown(home), message, int(deaths), int(deliveries))
        for receipt, deaths, deliveries, home, message in rows
    )
    return Claimed(text(reply[0]), claims)


def settle(keys: Keys, name: str, epoch: str, receipts: Sequence[str]) -> Call:
    """Settle up to SETTLE_MAX receipts of one epoch."""
    touched = [
        keys.node(name),
        keys.claims(name),
        keys.deaths,
        keys.orphans(epoch),
        keys.events,
        keys.counters,
        keys.bell(name),
    ]
    return Call("cluster/settle", touched, [epoch, name, *receipts])


def read_settlement(reply: Sequence[Any]) -> Settlement:
    """What the server answered to :func:`settle`."""
    if reply[0] == b"fenced":
        return Settlement(True, cancelled=int(reply[1]), possible_duplicates=int(reply[2]))
    return Settlement(False, settled=int(reply[1]))
