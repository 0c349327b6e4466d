"""Switchyard: load-aware, loss-free scheduling for Celery on Redis or Valkey.

import scheduler
scheduler.install(app)
"""

from __future__ import annotations

from scheduler.agreement.election import Election
from scheduler.agreement.exclusive import current_lock, exclusive
from scheduler.agreement.lock import Lock, lock
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
    "ConfigurationError",
    "Delivery",
    "Election",
    "Load",
    "Lock",
    "LockLost",
    "LockNotAcquired",
    "NoQuorum",
    "NoSuchNode",
    "NoSuchTask",
    "Node",
    "NodeNameInUse",
    "NodeState",
    "Rule",
    "ServerTooOld",
    "Settings",
    "Strategy",
    "SwitchyardError",
    "Task",
    "TaskGivenUp",
    "TaskSkipped",
    "UnsupportedBroker",
    "current_delivery",
    "current_lock",
    "exclusive",
    "install",
    "lock",
]
