"""One server's side of locks and elections: the only Python that runs their Lua operations."""

from __future__ import annotations

from redis import Redis

from switchyard.cluster.keys import Keys
from switchyard.cluster.runner import ScriptRunner
from switchyard.coordination.vote import Ballot

#: How long a place in the line is kept for an owner that does not ask again, in ms: one that died delays the
#: others by no more; five times LISTEN, so that one on a busy machine keeps its place.
KEEP_PLACE_MS = 1500
#: Seconds that an owner in the line listens before it asks again.
LISTEN = 0.3


class Voter:
    """A server that grants. A method is one round trip; errors are redis-py's."""

    def __init__(self, client: Redis, keys: Keys, alone: bool) -> None:
        self.client = client
        self.keys = keys
        self._runner = ScriptRunner(client)
        self._voting = "0" if alone else "1"

    def grant(self, subject: str, owner: str, ttl_ms: int, place: int, in_line: bool) -> Ballot:
        """Ask for it. ``in_line`` joins the line if it is not to be had; ``place`` is one got elsewhere."""
        k = self.keys
        keys = [k.grant(subject), k.line(subject), k.waiters(subject), k.number, k.memory]
        args: list[str | bytes | int] = [owner, ttl_ms, place, KEEP_PLACE_MS if in_line else 0, self._voting]
        granted, number, third = self._runner.run("coordination/grant", keys, args)
        if granted:
            return Ballot(True, int(number), remembers=int(third) == 1)
        return Ballot(False, int(number), left=int(third) / 1000)

    def renew(self, subject: str, owner: str, ttl_ms: int, token: int) -> bool:
        """Prolong a grant; False if this server had not granted it, or not any more."""
        keys = [self.keys.grant(subject), self.keys.number]
        return bool(self._runner.run("coordination/renew", keys, [owner, ttl_ms, token, self._voting]))

    def release(self, subject: str, owner: str, place: int = 0) -> bool:
        """Give the grant back, and the place in the line but for ``place``; False if none was held."""
        k = self.keys
        keys = [k.grant(subject), k.line(subject), k.waiters(subject)]
        return bool(self._runner.run("coordination/release", keys, [owner, place, KEEP_PLACE_MS, k.prefix]))

    def record_event(self, kind: str, node: str) -> bool:
        """Leave an event of a node in the cluster's log."""
        return bool(self._runner.run("cluster/record_event", [self.keys.events], [kind, node, 1]))

    def listen(self, owner: str, seconds: float) -> None:
        """Wait until the owner is the first in a line for something free, or so many seconds."""
        self.client.blpop([self.keys.turn(owner)], timeout=seconds)
