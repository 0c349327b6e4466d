"""What ``check`` looks at: each function looks at one thing and says what it found and how to mend it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from redis.exceptions import RedisError, ResponseError

from switchyard.adapters.celery.schedules import foreign_scheduler
from switchyard.adapters.versions import untested
from switchyard.cache.store import Standing
from switchyard.cached_tasks.results import open_cache
from switchyard.cluster.depths import can_run, queue_depths
from switchyard.cluster.layout import other_layout
from switchyard.cluster.state import State
from switchyard.errors import SwitchyardError
from switchyard.install import installation
from switchyard.models import ListNames, Node, NodeState, QueueDepth, Selector
from switchyard.settings import Settings
from switchyard.transport.opening import address, server_name
from switchyard_workers.commands.display import seconds
from switchyard_workers.commands.target import Target

#: Settings of Celery, and what it costs if they are off.
_MUST_BE_ON = {
    "task_acks_late": "a task is forgotten as soon as it starts, and lost if its node dies",
    "task_reject_on_worker_lost": "a task whose process was killed counts as done",
}


#: How to mend what can't be read, by the first word of what it is.
_MENDS = {
    "node": "restart that node; if there is none of this name, it is forgotten an hour after its lease ended",
    "wait": "upgrade the nodes, if a later version made it; or take the list's tasks away by hand",
    "dead": "look at it in Redis; switchyard dead discard RECEIPT takes it away",
    "event": "nothing is lost by it; it goes when the log is full",
}


class Level(StrEnum):
    """``problem`` fails the check; ``info`` is worth knowing."""

    OK = "ok"
    INFO = "info"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. ``mend`` is empty if nothing needs mending."""

    check: str
    level: Level
    finding: str
    mend: str = ""


def findings(target: Target) -> Iterator[Finding]:
    """Everything, in the order in which one would look; stops where nothing more can be seen."""
    try:
        app = target.application()
        settings = target.settings()
    except SwitchyardError as exc:
        yield _from_error("configuration", exc)
        return
    yield Finding("configuration", Level.OK, "the settings are valid")
    yield libraries()
    yield from cache_servers(settings)
    if app is not None and installation(app).broker.is_ours:
        yield from application(app)
    try:
        yield from _cluster(target.open())
    except (SwitchyardError, RedisError) as exc:
        yield _from_error("broker", exc)


def libraries() -> Finding:
    """Whether our tests ran with the versions that are installed."""
    if others := untested():
        mend = "see docs/celery-compatibility.md; install versions from there, or try yours before production"
        return Finding("versions", Level.INFO, f"not tested with {', '.join(others)}", mend)
    return Finding("versions", Level.OK, "Celery, kombu and redis-py are of tested versions")


def application(app: Any) -> list[Finding]:
    """Whether the settings of Celery that make "nothing is lost" true are still what install made them."""
    wrong = [
        Finding("application", Level.PROBLEM, f"{setting} is off: {loss}", f"set {setting} = True")
        for setting, loss in _MUST_BE_ON.items()
        if not app.conf[setting]
    ]
    wrong += _prefetch(app.conf.worker_prefetch_multiplier)
    wrong += _scheduler(app)
    return wrong or [Finding("application", Level.OK, f"{app.main} uses Switchyard, with safe settings")]


def _scheduler(app: Any) -> list[Finding]:
    if (name := foreign_scheduler(app)) is None:
        return []
    text = f"beat_scheduler is {name}: switchyard beat refuses to start; celery beat runs it, without standby"
    mend = "for a standby move its entries to beat_schedule or RedBeat and unset beat_scheduler"
    return [Finding("application", Level.INFO, text, mend)]


def cache_servers(settings: Settings) -> Iterator[Finding]:
    """Whether the servers that were named for cached results answer."""
    if not settings.cache_servers:
        return
    try:
        with closing(open_cache(settings, "")) as cache:
            states = cache.servers()
    except SwitchyardError as exc:
        yield _from_error("cache", exc)
        return
    away = [state for state in states if state.standing is Standing.AWAY]
    for state in away:
        finding = f"cache server {state.name} does not answer: what only it keeps is computed again"
        mend = "see that it runs and lets this machine in, or take it out of cache_servers everywhere"
        yield Finding("cache", Level.PROBLEM, finding, mend)
    if not away:
        yield Finding("cache", Level.OK, f"{len(states)} of {len(states)} cache servers answer")


def _prefetch(multiplier: int) -> list[Finding]:
    if multiplier == 1:
        return []
    if multiplier == 0:
        level, effect = Level.PROBLEM, "one node takes every task there is, while others stand idle"
    else:
        level, effect = Level.INFO, "tasks wait for a busy node, while others may have free slots"
    text = f"worker_prefetch_multiplier is {multiplier}: {effect}"
    return [Finding("application", level, text, "set worker_prefetch_multiplier = 1")]


def _cluster(state: State) -> Iterator[Finding]:
    yield server(state)
    yield layout(state)
    yield eviction(state)
    yield persistence(state)
    nodes, depths = state.snapshot(), queue_depths(state)
    yield from _each_node(nodes)
    yield from forgotten_claims(state, nodes)
    yield from options(state.keys.lists, nodes)
    yield from _each_queue(nodes, depths)
    yield dead_tasks(state)
    yield from strangers(state)


def server(state: State) -> Finding:
    """What the server is. Raises ServerTooOld."""
    try:
        return Finding("broker", Level.OK, f"{server_name(state)} answers at {address(state)}")
    except ResponseError as exc:
        mend = "see that it is Redis 6.2, Valkey 7.2 or later"
        return Finding("broker", Level.INFO, f"the broker answers, but does not say what it is: {exc}", mend)


def layout(state: State) -> Finding:
    """Whether this version can work with what is in Redis."""
    found = state.layout()
    if other := other_layout(state.keys, found):
        return _from_error("layout", other)
    return Finding("layout", Level.OK, f"what is in Redis has layout {found}, which this version reads")


def eviction(state: State) -> Finding:
    """Whether the server may throw keys away when its memory is full."""
    policy = _server_says(state, "memory", "maxmemory_policy")
    if policy is None:
        return Finding(
            "eviction", Level.INFO, "maxmemory-policy could not be read", "see that it is noeviction"
        )
    if policy == "noeviction":
        return Finding("eviction", Level.OK, "maxmemory-policy is noeviction")
    return Finding(
        "eviction",
        Level.PROBLEM,
        f"maxmemory-policy is {policy}: when memory is full, the server throws tasks away",
        "set maxmemory-policy noeviction on the server",
    )


def persistence(state: State) -> Finding:
    """Whether tasks outlive a crash of the server."""
    enabled = _server_says(state, "persistence", "aof_enabled")
    if enabled is None:
        return Finding("persistence", Level.INFO, "appendonly could not be read", "see that it is on")
    if int(enabled):
        return Finding("persistence", Level.OK, "appendonly is on")
    return Finding(
        "persistence",
        Level.INFO,
        "appendonly is off: tasks since the last snapshot are lost if the server crashes",
        "set appendonly yes on the server, unless that loss is acceptable",
    )


def _server_says(state: State, section: str, field: str) -> Any:
    # INFO, not CONFIG GET: managed servers refuse the latter.
    try:
        return state.client.info(section).get(field)
    except ResponseError:
        return None


def _each_node(nodes: list[Node]) -> Iterator[Finding]:
    if not nodes:
        yield Finding("nodes", Level.INFO, "no node has joined", "switchyard worker -A APP --node NAME")
    for node in nodes:
        if node.state is NodeState.LOST:
            yield _lost(node)
        elif node.state is NodeState.DRAINING:
            finding = f"node {node.name} is draining: it takes no tasks"
            yield Finding("nodes", Level.INFO, finding, f"switchyard resume {node.name}")
    if up := sorted(node.name for node in nodes if node.state is NodeState.UP):
        yield Finding("nodes", Level.OK, f"up: {', '.join(up)}")


def forgotten_claims(state: State, nodes: list[Node]) -> Iterator[Finding]:
    """Claims that nothing in their node knows."""
    names = [node.name for node in nodes if node.state is not NodeState.LOST]
    for name, count in sorted(state.forgotten(names).items()):
        if count:
            finding = f"node {name} holds {count} claims that nothing in it knows any more"
            mend = "it gives them back within a lease; see its log for what failed, restart it if they stay"
            yield Finding("nodes", Level.PROBLEM, finding, mend)


def options(ours: ListNames, nodes: list[Node]) -> Iterator[Finding]:
    """Whether all nodes name their lists as this application does, and what they give back for it."""
    for node in nodes:
        if node.state is not NodeState.LOST and node.lists != ours:
            finding = (
                f"node {node.name} has the broker_transport_options {node.lists.dumps()}, this application "
            )
            finding += f"{ours.dumps()}: tasks with a priority pass each other by"
            mend = "give all nodes and producers the same sep and priority_steps, and restart them"
            yield Finding("options", Level.PROBLEM, finding, mend)
        if node.state is not NodeState.LOST and node.complaint:
            finding = f"node {node.name} {node.complaint}"
            mend = "see that producers and nodes have the same broker_transport_options"
            yield Finding("options", Level.PROBLEM, finding, mend)


def _lost(node: Node) -> Finding:
    finding = f"node {node.name} is lost: its last heartbeat is {seconds(node.lease_age)} old"
    if node.outstanding:
        finding += f", and {node.outstanding} tasks of it are not given back yet"
    mend = f"look at process {node.pid} on {node.hostname}, start it again; after an hour it is forgotten"
    return Finding("nodes", Level.PROBLEM, finding, mend)


def _each_queue(nodes: list[Node], depths: list[QueueDepth]) -> list[Finding]:
    found = [finding for depth in depths for finding in _one_queue(nodes, depth)]
    return found or [
        Finding("queues", Level.OK, f"{len(depths)} known; every waiting task has a node to run it")
    ]


def _one_queue(nodes: list[Node], depth: QueueDepth) -> Iterator[Finding]:
    plain = depth.waiting - sum(depth.stranded.values())
    if plain > 0 and not can_run(nodes, depth.name, Selector()):
        finding = f"{plain} tasks wait on queue {depth.name!r} and no node that is up serves it"
        mend = f"start a node with --queues {depth.name} (plain Celery workers can't be seen from here)"
        yield Finding("queues", Level.PROBLEM, finding, mend)
    for selector, count in sorted(depth.stranded.items()):
        finding = f"{count} tasks of queue {depth.name!r} wait for a node with {selector}, and none is up"
        mend = f"start such a node with --queues {depth.name}, or resume it if it is draining"
        yield Finding("queues", Level.PROBLEM, finding, mend)


def dead_tasks(state: State) -> Finding:
    """Whether tasks were given up on."""
    count = int(state.client.zcard(state.keys.dead))
    if not count:
        return Finding("dead", Level.OK, "no task was given up on")
    return Finding(
        "dead", Level.PROBLEM, f"{count} tasks were given up on", "look at them: switchyard dead list"
    )


def strangers(state: State) -> Iterator[Finding]:
    """What is in Redis and can't be read."""
    for stranger in state.strangers():
        finding = f"{stranger.what} can't be read and is skipped: {stranger.why}"
        yield Finding("strangers", Level.PROBLEM, finding, _MENDS[stranger.what.partition(" ")[0]])


def _from_error(check: str, exc: Exception) -> Finding:
    """Errors of ours say what happened, then, after a semicolon, how to mend it; the server's do not."""
    finding, _, mend = " ".join(str(exc).split()).partition("; ")
    return Finding(
        check, Level.PROBLEM, finding, mend or "see the server's log, and what this user may do there"
    )
