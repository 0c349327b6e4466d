"""Switchyard: load-aware, loss-free scheduling for Celery on Redis or Valkey.

import switchyard
switchyard.install(app)
"""

from __future__ import annotations

from switchyard.cache.cache import Cache
from switchyard.cache.near.cache import NearCache
from switchyard.cached_tasks.decorator import cached
from switchyard.coordination.election import Election
from switchyard.coordination.exclusive import current_lock, exclusive
from switchyard.coordination.lock import Lock, lock
from switchyard.errors import (
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
from switchyard.install import install
from switchyard.models import Delivery, Load, Node, NodeState, Task
from switchyard.settings import Rule, Settings
from switchyard.strategies import Strategy
from switchyard.transport.delivery import current_delivery

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
