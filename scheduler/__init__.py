"""Switchyard: load-aware, loss-free scheduling for Celery on Redis or Valkey.

import scheduler
scheduler.install(app)
"""

from __future__ import annotations

from scheduler.errors import (
    BrokerUnreachable,
    ConfigurationError,
    NodeNameInUse,
    NoSuchNode,
    ServerTooOld,
    SwitchyardError,
    UnsupportedBroker,
)
from scheduler.models import Load, Node, NodeState, Task
from scheduler.plugin import install
from scheduler.settings import Rule, Settings
from scheduler.strategies import Strategy

__version__ = "0.1.0"

__all__ = [
    "BrokerUnreachable",
    "ConfigurationError",
    "Load",
    "NoSuchNode",
    "Node",
    "NodeNameInUse",
    "NodeState",
    "Rule",
    "ServerTooOld",
    "Settings",
    "Strategy",
    "SwitchyardError",
    "Task",
    "UnsupportedBroker",
    "install",
]
