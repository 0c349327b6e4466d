"""What is done with tasks that were given up on: another chance, or thrown away; their callers are told."""

from __future__ import annotations

from collections.abc import Sequence

from switchyard.cluster.reads import Reads
from switchyard.cluster.runner import Call

#: Seconds in which a node must have told a caller that its task was given up, before another tries.
ANNOUNCE_S = 30


class Buried(Reads):
    """The part of the cluster's state that is about the dead."""

    def requeue(self, receipt: str) -> bool:
        """Put a task given up on at the end of its queue; False if it is not among the dead."""
        return bool(self.runner.call(self._taking(receipt, "requeue")))

    def discard(self, receipt: str) -> bool:
        """Throw a task given up on away; False if it is not among the dead."""
        return bool(self.runner.call(self._taking(receipt, "discard")))

    def requeue_each(self, receipts: Sequence[str]) -> int:
        """:meth:`requeue` for many, in one round trip; how many were among the dead."""
        return self._take_each(receipts, "requeue")

    def discard_each(self, receipts: Sequence[str]) -> int:
        """:meth:`discard` for many, in one round trip; how many were among the dead."""
        return self._take_each(receipts, "discard")

    def _take_each(self, receipts: Sequence[str], how: str) -> int:
        calls = [self._taking(receipt, how) for receipt in receipts]
        replies = self.runner.run_each("cluster/requeue", [(call.keys, call.args) for call in calls])
        return sum(map(int, replies))

    def _taking(self, receipt: str, how: str) -> Call:
        k = self.keys
        keys = [k.dead, k.dead_entry(receipt), k.unannounced, k.waiting, k.nodes]
        return Call("cluster/requeue", keys, [receipt, how, k.prefix])

    def may_announce(self, receipt: str) -> bool:
        """Whether this node shall tell the callers; if it dies doing so, another may after half a minute."""
        key = self.keys.announcing(receipt)
        if self.client.set(key, 1, nx=True, ex=ANNOUNCE_S):
            return True
        if int(self.client.ttl(key)) > ANNOUNCE_S:  # the clock was set back since
            self.client.expire(key, ANNOUNCE_S)
        return False

    def announced(self, receipt: str) -> None:
        """The callers of a task given up on have been told."""
        self.client.srem(self.keys.unannounced, receipt)
