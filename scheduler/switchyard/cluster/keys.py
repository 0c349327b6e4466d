"""Every Redis key that Switchyard uses, named in one place.

All of them share one hash tag, so that a script may touch any of them together. The shared queues are
not here: they are kombu's own lists under kombu's own names.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from switchyard.errors import ConfigurationError
from switchyard.lua import Names
from switchyard.models import ListNames

#: Between a wait list's queue and its selector; a control character cannot occur in JSON.
SELECTOR_SEPARATOR = "\x1f"

#: What stands between the prefix and that which a key is for.
NODE, INBOX, CLAIMS, BELL, IDLE, ORDER = "node:", "inbox:", "claims:", "bell:", "idle:", "order:"
ORPHANS, DEAD, ANNOUNCING, WAIT = "orphans:", "dead:", "announcing:", "wait:"
GRANT, LINE, WAITERS, TURN, FLIGHT = "grant:", "line:", "waiters:", "turn:", "flight:"

#: Before a strategy's name: a field of a node's hash, and one of the counters.
PLACED, OVERFLOWED = "placed:", "overflowed:"

#: The names that Lua puts together itself, as the loader hands them to the operations.
LUA_NAMES: Names = (
    ("NODE", NODE),
    ("INBOX", INBOX),
    ("CLAIMS", CLAIMS),
    ("BELL", BELL),
    ("IDLE", IDLE),
    ("ORPHANS", ORPHANS),
    ("DEAD", DEAD),
    ("WAIT", WAIT),
    ("TURN", TURN),
    ("PLACED", PLACED),
    ("OVERFLOWED", OVERFLOWED),
    ("SELECTOR_SEPARATOR", SELECTOR_SEPARATOR),
)


@dataclass(frozen=True, slots=True)
class Keys:
    """The key names of one cluster.

    ``namespace`` tells clusters on one database apart; ``global_prefix`` is kombu's ``global_keyprefix``,
    which its own lists carry as well, and ``lists`` is how it names these.
    """

    namespace: str = "switchyard"
    global_prefix: str = ""
    lists: ListNames = field(default_factory=ListNames)

    @property
    def prefix(self) -> str:
        """What every key of ours starts with, hash tag included."""
        return f"{self.global_prefix}{{{self.namespace}}}:"

    @property
    def nodes(self) -> str:
        """Sorted set: node name -> lease deadline in ms by the server's clock."""
        return self.prefix + "nodes"

    @property
    def lost(self) -> str:
        """Sorted set: name of a node whose lease ran out -> when it was reaped, in ms."""
        return self.prefix + "lost"

    @property
    def epoch(self) -> str:
        """Counter: the last epoch given out. An epoch is the fencing token of a lease."""
        return self.prefix + "epoch"

    @property
    def layout(self) -> str:
        """String: the number of the layout that all of these keys have."""
        return self.prefix + "layout"

    @property
    def watch(self) -> str:
        """Hash: since when leases are renewed without a gap, whoever's, and when one was last, in ms."""
        return self.prefix + "watch"

    @property
    def seq(self) -> str:
        """Counter: the last receipt given out; receipts grow with arrival."""
        return self.prefix + "seq"

    @property
    def queues(self) -> str:
        """Set: every queue name that a node served or a task was left on."""
        return self.prefix + "queues"

    @property
    def waiting(self) -> str:
        """Sorted set: wait list key -> when a task was last left there, in ms."""
        return self.prefix + "waiting"

    @property
    def deaths(self) -> str:
        """Hash: digest of an entry -> the nodes that it died with, or a pool process of theirs."""
        return self.prefix + "deaths"

    @property
    def dead(self) -> str:
        """Sorted set: receipt of a task that was given up -> when, in ms."""
        return self.prefix + "dead"

    @property
    def unannounced(self) -> str:
        """Set: receipts given up on whose callers have not been told yet."""
        return self.prefix + "unannounced"

    @property
    def events(self) -> str:
        """Stream: what happened to nodes, capped."""
        return self.prefix + "events"

    @property
    def counters(self) -> str:
        """Hash: ``restored``, ``given up``, ``possible duplicates``, ``overflowed:STRATEGY`` -> how many."""
        return self.prefix + "counters"

    @property
    def number(self) -> str:
        """String: the highest token or place in a line given out. Tokens and terms fence holders."""
        return self.prefix + "number"

    @property
    def memory(self) -> str:
        """Hash: since when (ms) this server remembers what it granted, and its run id at that time."""
        return self.prefix + "memory"

    def grant(self, subject: str) -> str:
        """Hash that expires: owner and token of a lock or a leadership that this server granted."""
        return f"{self.prefix}{GRANT}{subject}"

    def line(self, subject: str) -> str:
        """Sorted set that expires: who waits for a grant -> place in the line."""
        return f"{self.prefix}{LINE}{subject}"

    def waiters(self, subject: str) -> str:
        """Sorted set that expires: who waits for a grant -> when the place is lost, in ms."""
        return f"{self.prefix}{WAITERS}{subject}"

    def turn(self, owner: str) -> str:
        """List that expires: the first in a line blocks on it, and looks when it rings."""
        return f"{self.prefix}{TURN}{owner}"

    @property
    def ticks(self) -> str:
        """Sorted set: periodic entry -> the instant through which its ticks were sent, in us."""
        return self.prefix + "ticks"

    @property
    def beat(self) -> str:
        """Hash: the process that took the lead in periodic tasks last, and its term."""
        return self.prefix + "beat"

    def node(self, name: str) -> str:
        """Hash: what a node says of itself, its epoch, and ``placed:STRATEGY`` -> tasks placed on it."""
        return f"{self.prefix}{NODE}{name}"

    def inbox(self, name: str) -> str:
        """Sorted set: entries placed on a node, by priority, then arrival."""
        return f"{self.prefix}{INBOX}{name}"

    def claims(self, name: str) -> str:
        """Hash: receipt -> entry that the node holds and has not settled."""
        return f"{self.prefix}{CLAIMS}{name}"

    def order(self, name: str) -> str:
        """Sorted set, while a node with many claims is reaped: their receipts."""
        return f"{self.prefix}{ORDER}{name}"

    @property
    def unfinished(self) -> str:
        """Set: fenced nodes with tasks that are not given back yet."""
        return self.prefix + "unfinished"

    def bell(self, name: str) -> str:
        """List: a node blocks on it; it never holds a task."""
        return f"{self.prefix}{BELL}{name}"

    def idle(self, queue: str) -> str:
        """Set: nodes with a free slot that found nothing on this queue."""
        return f"{self.prefix}{IDLE}{queue}"

    def orphans(self, epoch: str) -> str:
        """Hash: receipt -> entry that a fenced epoch held; kept for its late settles."""
        return f"{self.prefix}{ORPHANS}{epoch}"

    def dead_entry(self, receipt: str) -> str:
        """Hash: one task that was given up on, with the reason."""
        return f"{self.prefix}{DEAD}{receipt}"

    def announcing(self, receipt: str) -> str:
        """String that expires: a node is telling the callers of a task given up on."""
        return f"{self.prefix}{ANNOUNCING}{receipt}"

    def flight(self, key: str) -> str:
        """String that expires: id of the task that computes the cached result ``key``."""
        return f"{self.prefix}{FLIGHT}{key}"

    def shared(self, list_name: str) -> str:
        """kombu's own list for a queue and priority step."""
        return self.global_prefix + list_name

    def wait(self, list_name: str, selector: str) -> str:
        """List: tasks of a queue that only the nodes which ``selector`` allows may run."""
        return f"{self.prefix}{WAIT}{list_name}{SELECTOR_SEPARATOR}{selector}"

    def selector_of(self, wait_key: str) -> str:
        """The selector that a wait list was made for."""
        return wait_key.rpartition(SELECTOR_SEPARATOR)[2]

    def list_of(self, home: str) -> str:
        """kombu's list name (queue and priority step) behind a shared queue or a wait list."""
        if home.startswith(wait := self.prefix + WAIT):
            return home[len(wait) :].rpartition(SELECTOR_SEPARATOR)[0]
        return home[len(self.global_prefix) :]

    def priority_of(self, home: str) -> int:
        """The priority step of a shared queue's list or a wait list."""
        return self.lists.split(self.list_of(home))[1]

    def queue_of(self, home: str) -> str:
        """The queue that a shared queue's list or a wait list belongs to."""
        return self.lists.split(self.list_of(home))[0]


def checked_queue(keys: Keys, queue: str) -> str:
    """The queue's name, if no list of its could be a key of ours. Raises ConfigurationError."""
    own = keys.prefix.removeprefix(keys.global_prefix)
    if queue.startswith(own):
        raise ConfigurationError(
            f"queue {queue!r} is in the key space of Switchyard, {own}; give it another name"
        )
    return queue
