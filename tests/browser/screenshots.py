"""Pictures of the dashboard for the documentation: ``python -m tests.browser.screenshots``.

Runs a small cluster with real tasks for some minutes; two of its nodes die of a task that kills them.
"""

from __future__ import annotations

import argparse
import math
import random
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from celery import Celery
from playwright.sync_api import Browser, ViewportSize, expect

from scheduler.state import State
from tests.browser import chromium
from tests.support import servers
from tests.support.app import make_app
from tests.support.dashboard import Site, dashboard_process
from tests.support.nodes import ROOT, is_up, state_of, worker
from tests.support.servers import Server
from tests.support.waiting import wait_until

_DESK: ViewportSize = {"width": 1440, "height": 900}
_PHONE: ViewportSize = {"width": 375, "height": 812}
#: Seconds between two rounds of new tasks.
_ROUND = 0.25
#: Seconds before the pictures are taken at which the deadly task is sent: both its nodes are lost by then.
_LAST_ACT = 45


@dataclass(frozen=True, slots=True)
class NodePlan:
    """A node to start."""

    slots: int
    queues: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Picture:
    """A page to take a picture of."""

    file: str
    path: str
    theme: str = "light"
    size: ViewportSize = _DESK.__class__(_DESK)


NODES = {
    "api-1": NodePlan(4, "celery", ("zone=eu-1",)),
    "api-2": NodePlan(4, "celery", ("zone=eu-2",)),
    "batch-1": NodePlan(8, "reports", ("zone=eu-2", "disk=ssd")),
    "gpu-1": NodePlan(2, "celery,train", ("zone=eu-1", "gpu=h100")),
    "canary-1": NodePlan(2, "untried"),
    "canary-2": NodePlan(2, "untried"),
}
