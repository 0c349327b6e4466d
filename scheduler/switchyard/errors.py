"""What can go wrong, as one tree:

* SwitchyardError
  * ConfigurationError     settings, rules, strategy names; also a ValueError
    * UnsupportedBroker    the broker URL is not Redis or Valkey
  * BrokerUnreachable      no server answers at the URL
    * BrokerRefuses        one answers, but takes no commands, or no writes, for now
  * ServerTooOld           the server lacks commands that we need
  * NodeNameInUse          another live process holds this node name
  * OtherLayout            the cluster's state in Redis was written by a version that this one can't work with
  * NoSuchNode             a command names a node that the cluster does not know
  * NoSuchTask             a command names a task that is not among the dead
  * NotCacheable           a value that a cache refuses: too large, or not plain data; also a ValueError
  * TaskGivenUp            what a caller of a task gets that nodes or pool processes kept dying on
  * LockNotAcquired        somebody else holds the lock; the wait for it is over
  * LockLost               the lock ran out, or went to somebody else, before it was given back
  * NoQuorum               fewer than a majority of the servers that vote answered
  * TaskSkipped            what a caller of an exclusive task gets that was not run

Every message says what happened, to what, and how to mend it.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class SwitchyardError(Exception):
    """Base of every error that Switchyard raises on purpose."""


class ConfigurationError(SwitchyardError, ValueError):
    """A setting, a rule or a ``placement=`` option that cannot work."""


class UnsupportedBroker(ConfigurationError):
    """The broker is neither Redis nor Valkey."""


class BrokerUnreachable(SwitchyardError):
    """No server answers where the broker URL points."""


class BrokerRefuses(BrokerUnreachable):
    """The server answers that it takes nothing for now: it loads, is busy, full, or has lost its replicas."""


class ServerTooOld(SwitchyardError):
    """The server is older than Redis 6.2 or Valkey 7.2."""


class NodeNameInUse(SwitchyardError):
    """A live process of the cluster already has this node name."""


class OtherLayout(SwitchyardError):
    """The cluster's state in Redis has a layout that this version does not read or write."""


class NoSuchNode(SwitchyardError):
    """The cluster knows no node of this name."""


class NoSuchTask(SwitchyardError):
    """No task of this receipt is among the dead."""


class NotCacheable(SwitchyardError, ValueError):
    """A value that is over the cache's limit or that its serializer cannot encode."""


class TaskGivenUp(SwitchyardError):
    """A task that too many nodes or pool processes died holding; it is among the dead and can be requeued."""


class LockNotAcquired(SwitchyardError):
    """Somebody else held the lock for as long as we were willing to wait."""


class LockLost(SwitchyardError):
    """The lock was not ours any more when it was given back: somebody else may have held it meanwhile."""


class NoQuorum(SwitchyardError):
    """Too few of the servers that decide on a lock answered in time to decide anything."""


class TaskSkipped(SwitchyardError):
    """An exclusive task that did not run, because another one with the same lock was running."""


def one_line(exc: BaseException, most: int = 300) -> str:
    """What an error is and says, on one line of at most so many characters: some hold a whole message."""
    return " ".join(f"{type(exc).__name__}: {exc}".split())[:most]


def nearest(name: str, known: Iterable[str], otherwise: str | None = None, *, most: int = 1) -> str:
    """How the message about a name that nobody knows may end: with the ``most`` that are nearest to it.

    Where none is near, with ``otherwise``, which by default is all that are known.
    """
    names = sorted(known)
    if close := get_close_matches(name, names, n=most):
        return f"did you mean {' or '.join(map(repr, close))}?"
    return f"known are {', '.join(names)}" if otherwise is None else otherwise
