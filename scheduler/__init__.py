"""Switchyard: load-aware, loss-free scheduling for Celery on Redis or Valkey.

import scheduler
scheduler.install(app)
"""

from __future__ import annotations

from scheduler.agreement.election import Election
from scheduler.agreement.exclusive import current_lock, exclusive
from scheduler.agreement.lock import Lock, lock
from scheduler.caching.cache import Cache
from scheduler.caching.tasks import cached
from scheduler.caching.warm import NearCache
from scheduler.delivery import current_delivery
from scheduler.errors import (
    BrokerUnreachable,
    ConfigurationError,
    LockLost,
    LockNotAcquired,
    NodeNameInUse,
    NoQuorum,
    NoSuchNode,
    NoSuchTask,
    NotCacheable,
    ServerTooOld,
    SwitchyardError,
    TaskGivenUp,
    TaskSkipped,
    UnsupportedBroker,
)
from scheduler.models import Delivery, Load, Node, NodeState, Task
from scheduler.plugin import install
from scheduler.settings import Rule, Settings
from scheduler.strategies import Strategy

__version__ = "0.1.0"

__all__ = [
    "BrokerUnreachable",
    "Cache",
    "ConfigurationError",
    "Delivery",
    "Election",
    "Load",
    "Lock",
    "LockLost",
    "LockNotAcquired",
    "NearCache",
    "NoQuorum",
    "NoSuchNode",
    "NoSuchTask",
    "Node",
    "NodeNameInUse",
    "NodeState",
    "NotCacheable",
    "Rule",
    "ServerTooOld",
    "Settings",
    "Strategy",
    "SwitchyardError",
    "Task",
    "TaskGivenUp",
    "TaskSkipped",
    "UnsupportedBroker",
    "cached",
    "current_delivery",
    "current_lock",
    "exclusive",
    "install",
    "lock",
]
