"""Switchyard: load-aware, loss-free scheduling for Celery on Redis or Valkey.

import switchyard
switchyard.install(app)
"""

from __future__ import annotations

from switchyard.cache.cache import Cache
from switchyard.cache.figures import Figures
from switchyard.cache.near.cache import NearCache
from switchyard.cache.store import ServerState, Standing
from switchyard.cached_tasks.calls import CachedCalls, cached_calls
from switchyard.cached_tasks.decorator import cached
from switchyard.coordination.election import Election
from switchyard.coordination.exclusive import current_lock, exclusive
from switchyard.coordination.lock import Lock, lock
from switchyard.errors import (
    BrokerRefuses,
    BrokerUnreachable,
    ConfigurationError,
    LockLost,
    LockNotAcquired,
    NodeNameInUse,
    NoQuorum,
    NoSuchNode,
    NoSuchTask,
    NotCacheable,
    OtherLayout,
    ServerTooOld,
    SwitchyardError,
    TaskGivenUp,
    TaskSkipped,
    UnsupportedBroker,
)
from switchyard.install import install
from switchyard.models import Delivery, ListNames, Load, Node, NodeState, Task
from switchyard.placement.options import PlacementOptions, placement_options
from switchyard.settings import Rule, Settings
from switchyard.strategies import Strategy
from switchyard.transport.delivery import current_delivery

__version__ = "0.1.0"

__all__ = [
    "BrokerRefuses",
    "BrokerUnreachable",
    "Cache",
    "CachedCalls",
    "ConfigurationError",
    "Delivery",
    "Election",
    "Figures",
    "ListNames",
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
    "OtherLayout",
    "PlacementOptions",
    "Rule",
    "ServerState",
    "ServerTooOld",
    "Settings",
    "Standing",
    "Strategy",
    "SwitchyardError",
    "Task",
    "TaskGivenUp",
    "TaskSkipped",
    "UnsupportedBroker",
    "cached",
    "cached_calls",
    "current_delivery",
    "current_lock",
    "exclusive",
    "install",
    "lock",
    "placement_options",
]
