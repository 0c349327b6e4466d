"""``cache``: where results of cached tasks are kept, how warm the nodes are, and forgetting all of it.

The same for a cache of the application's own.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from typing import Any

import click
from celery.utils.imports import import_from_cwd, symbol_by_name
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from switchyard.cache.cache import Cache
from switchyard.cache.near.cache import NearCache
from switchyard.cache.store import Deadline, ServerState, Standing
from switchyard.cached_tasks.results import open_cache
from switchyard.errors import ConfigurationError
from switchyard.models import Node, NodeState
from switchyard.node_figures import hit_rates
from switchyard_workers.commands.display import console, write_json
from switchyard_workers.commands.target import Target, on_cluster

_STYLES = {Standing.UP: "green", Standing.FILLING: "yellow", Standing.AWAY: "bold red"}
_COUNTS = ("answered", "joined", "published", "errors", "repairs")
#: Longest that ``stats`` waits for its own process, which has just begun and doubts every server, to find out
#: that they are whole, in seconds.
_DOUBT_S = 3.0
#: Seconds between two looks until then.
_LOOK_S = 0.1

_as_json = click.option("--json", "as_json", is_flag=True, help="A JSON object instead of text.")
_own = click.option(
    "--cache",
    "own",
    metavar="MODULE:NAME",
    help="A switchyard.Cache of your own, instead of the results of cached tasks.",
)


@click.group()
def cache() -> None:
    """Results of cached tasks: the servers that keep them, and the nodes that have them in memory."""


@cache.command()
@_own
@_as_json
@on_cluster
def stats(target: Target, own: str | None, as_json: bool) -> None:
    """Show each cache server, and what the nodes' own memory answered."""
    with _opened(target, own) as opened:
        servers = _looked_at(opened)
    nodes = [node for node in target.open().snapshot() if node.state is not NodeState.LOST]
    if as_json:
        write_json({"servers": [asdict(server) for server in servers], "nodes": list(map(as_dict, nodes))})
    else:
        console().print(Group(_servers(servers), _nodes(nodes)))


@cache.command()
@click.argument("key")
@_own
@_as_json
@on_cluster
def ring(target: Target, key: str, own: str | None, as_json: bool) -> None:
    """Show which servers keep KEY, first asked first. A task's cached.key(args, kwargs) is one."""
    with _opened(target, own) as opened:
        owners = opened.owners(key)
    if as_json:
        write_json({"key": key, "servers": owners})
    else:
        click.echo("\n".join(owners))


@cache.command()
@_own
@_as_json
@on_cluster
def clear(target: Target, own: str | None, as_json: bool) -> None:
    """Forget everything, on every server and in every node's memory. Tasks that run now keep theirs."""
    with _opened(target, own) as opened:
        cleared = opened.clear()
    if as_json:
        write_json({"cleared": cleared})
    elif cleared:
        click.echo(
            "All results of cached tasks are forgotten." if own is None else "Everything is forgotten."
        )
    else:
        click.echo(
            "Old values may still be served: a server was away, or a Redis Cluster took too long; "
            "look at switchyard cache stats, and run this again.",
            err=True,
        )
    if not cleared:
        raise SystemExit(1)


def as_dict(node: Node) -> dict[str, Any]:
    """A node's figures as ``--json`` shows them; rates are shares of all look-ups, 0 to 1, or None."""
    near, total = hit_rates(node.load.cache)
    return {"name": node.name, "near_hit_rate": near, "hit_rate": total, **node.load.cache}


@contextmanager
def _opened(target: Target, own: str | None) -> Iterator[Cache]:
    """The cache that the user means: one of their own, or the one that keeps results."""
    app = target.application()
    broker = str(target.broker if app is None else app.conf.broker_write_url)
    with closing(open_cache(target.settings(), broker) if own is None else _load(own)) as opened:
        yield opened


def _load(name: str) -> Cache:
    try:
        found = symbol_by_name(name, imp=import_from_cwd)
    except Exception as exc:
        raise ConfigurationError(
            f"cannot load the cache {name!r}: {type(exc).__name__}: {exc}; check --cache, MODULE:NAME"
        ) from None
    found = found.cache if isinstance(found, NearCache) else found
    if not isinstance(found, Cache):
        raise ConfigurationError(
            f"{name!r} is a {type(found).__name__}, not a switchyard.Cache; check --cache"
        )
    return found


def _looked_at(opened: Cache) -> list[ServerState]:
    """The servers' states, once this process knows whether they are whole."""
    deadline = Deadline.after(_DOUBT_S)
    servers = opened.servers()
    while deadline.left() and any(server.standing is Standing.FILLING for server in servers):
        time.sleep(_LOOK_S)
        servers = opened.servers()
    return servers


def _servers(servers: Sequence[ServerState]) -> RenderableType:
    rows = Table("server", "standing", "weight", "keys", "memory", box=box.SIMPLE_HEAD, pad_edge=False)
    for server in servers:
        away = server.standing is Standing.AWAY
        rows.add_row(
            Text(server.name, "bold"),
            Text(str(server.standing), _STYLES[server.standing]),
            Text(str(server.weight)),
            Text("-" if away else f"{server.keys:,}"),
            Text("-" if away else _megabytes(server.memory)),
        )
    return rows


def _nodes(nodes: Sequence[Node]) -> RenderableType:
    if not nodes:
        return Text("No node is up.")
    names = ("in memory", "bytes", "hits there", "hits in all")
    rows = Table("node", *names, *_COUNTS, box=box.SIMPLE_HEAD, pad_edge=False)
    for node in nodes:
        figures = node.load.cache
        rows.add_row(
            Text(node.name, "bold"),
            Text(f"{figures.get('near_entries', 0):,}"),
            Text(_megabytes(figures.get("near_bytes", 0))),
            *(Text("-" if rate is None else f"{rate:.1%}") for rate in hit_rates(figures)),
            *(Text(f"{figures.get(name, 0):,}") for name in _COUNTS),
        )
    return rows


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
