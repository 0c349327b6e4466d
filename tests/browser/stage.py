"""A cluster to look at: real nodes, and things with names that a web page must not believe."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from celery import Celery

from switchyard.cluster.state import State
from tests.support import servers
from tests.support.app import make_app
from tests.support.dashboard import Site, dashboard_process
from tests.support.nodes import WorkerProcess, is_up, state_of, worker
from tests.support.servers import Server
from tests.support.waiting import wait_until

#: Seconds without a heartbeat until a node is lost: short, for a short test.
LEASE = 2.0
#: A name that breaks out of attributes and texts, and runs as a script, wherever one is not taken as text.
HOSTILE = """"><img src=x onerror="window.pwned=1"><script>window.pwned=1</script>' ünï 🌼"""

_FOREVER_MS = 600_000
#: Behind a reverse proxy and with a login: that nothing can be done there is not all that is different.
_LOGIN, _PREFIX = "ann:secret", "ops"
_READ_ONLY = ("--read-only", "--basic-auth", _LOGIN, "--url-prefix", _PREFIX)


@dataclass(frozen=True, slots=True)
class Stage:
    """A cluster, the dashboard that shows it, and the address of one that may only look, after a login."""

    server: Server
    app: Celery
    nodes: dict[str, WorkerProcess]
    dashboard: Site
    read_only: str


@contextmanager
def running(folder: Path) -> Iterator[Stage]:
    """Nodes a, b and victim, with two slots each, and one of a hostile name."""
    with ExitStack() as stack:
        server = stack.enter_context(servers.running("valkey"))
        nodes = {
            name: stack.enter_context(worker(server, folder, name, lease=LEASE, ready=False, options=options))
            for name, options in {"a": [], "b": ["--label", "zone=eu"], "victim": []}.items()
        }
        shown = stack.enter_context(dashboard_process(server, folder / "dashboard.log"))
        read_only = stack.enter_context(dashboard_process(server, folder / "read-only.log", *_READ_ONLY))
        for name in nodes:
            wait_until(partial(is_up, server, name), f"{name} is up", timeout=60)
        app = make_app(server.url())
        stack.callback(app.close)
        join(state_of(server), HOSTILE, HOSTILE, {HOSTILE: HOSTILE})
        address = f"http://{_LOGIN}@127.0.0.1:{read_only.port}/{_PREFIX}"
        yield Stage(server, app, nodes, shown, address)


def join(state: State, name: str, queue: str, labels: dict[str, str]) -> str:
    """Register a node without a process; its epoch."""
    fields: dict[str, str | int] = {
        "slots": 2,
        "limit": 2,
        "queues": json.dumps([queue]),
        "labels": json.dumps(labels),
        "lease": _FOREVER_MS,
    }
    return state.register(name, f"{name}-1", _FOREVER_MS, [queue], fields).epoch


def bury(app: Celery, server: Server, task: str, reason: str) -> str:
    """Send a task to the dead; its receipt."""
    state = state_of(server)
    queue = "burials"
    epoch = join(state, "digger", queue, {})
    app.send_task(task, (HOSTILE,), queue=queue)
    claimed = wait_until(lambda: state.claim("digger", epoch, 1, [queue], [[queue]]).claims, "a claim")
    state.bury("digger", epoch, claimed[0].receipt, reason)
    state.reap("digger", 5, epoch, left=True)
    return claimed[0].receipt
