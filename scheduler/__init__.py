"""Switchyard: load-aware, loss-free scheduling for Celery on Redis or Valkey.

import scheduler
scheduler.install(app)
"""

from __future__ import annotations

from scheduler.caching.cache import Cache
from scheduler.caching.tasks import cached
from scheduler.caching.warm import NearCache
from scheduler.delivery import current_delivery
from scheduler.errors import (
    BrokerUnreachable,
    ConfigurationError,
    NodeNameInUse,
    NoSuchNode,
    NoSuchTask,
    NotCacheable,
    ServerTooOld,
    SwitchyardError,
    TaskGivenUp,
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
    "Load",
    "NearCache",
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
    "UnsupportedBroker",
    "cached",
    "current_delivery",
    "install",
]
