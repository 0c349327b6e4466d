"""``cache``: where results of cached tasks are kept, how warm the nodes are, and forgetting all of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from scheduler.caching.cache import Cache
from scheduler.caching.results import open_cache
from scheduler.caching.store import ServerState, Standing
from scheduler.models import Node, NodeState
from workers.commands.display import console, write_json
from workers.commands.target import Target, on_cluster

_STYLES = {Standing.UP: "green", Standing.FILLING: "yellow", Standing.AWAY: "bold red"}
_as_json = click.option("--json", "as_json", is_flag=True, help="A JSON object instead of text.")


@click.group()
def cache() -> None:
    """Results of cached tasks: the servers that keep them, and the nodes that have them in memory."""


@cache.command()
@_as_json
@on_cluster
def stats(target: Target, as_json: bool) -> None:
    """Show each cache server, and what the nodes' own memory answered."""
    results = _results(target)
    try:
        servers = results.servers()
    finally:
        results.close()
    nodes = [node for node in target.open().snapshot() if node.state is not NodeState.LOST]
    if as_json:
        write_json({"servers": [asdict(server) for server in servers], "nodes": list(map(as_dict, nodes))})
    else:
        console().print(Group(_servers(servers), _nodes(nodes)))


@cache.command()
@click.argument("key")
@_as_json
@on_cluster
def ring(target: Target, key: str, as_json: bool) -> None:
    """Show which servers keep the result KEY, first asked first. A task's cached.key(args, kwargs) is one."""
    results = _results(target)
    try:
        owners = results.owners(key)
    finally:
        results.close()
    if as_json:
        write_json({"key": key, "servers": owners})
    else:
        click.echo("\n".join(owners))


@cache.command()
@_as_json
@on_cluster
def clear(target: Target, as_json: bool) -> None:
    """Forget all results, on every server and in every node's memory. Tasks that run now keep theirs."""
    results = _results(target)
    try:
        cleared = results.clear()
    finally:
        results.close()
    if as_json:
        write_json({"cleared": cleared})
    elif cleared:
        click.echo("All results of cached tasks are forgotten.")
    else:
        click.echo("Not every server could be reached: old results may still be served from some.", err=True)
    if not cleared:
        raise SystemExit(1)


def as_dict(node: Node) -> dict[str, Any]:
    """A node's figures as ``--json`` shows them; rates are shares of all look-ups, 0 to 1, or None."""
    near, total = _rates(node)
    return {"name": node.name, "near_hit_rate": near, "hit_rate": total, **node.load.cache}


def _rates(node: Node) -> tuple[float | None, float | None]:
    """Look-ups that the node's own memory answered, and those that it or the servers did."""
    hits, misses, found = (node.load.cache.get(name, 0) for name in ("near_hits", "near_misses", "found"))
    asked = hits + misses
    return (round(hits / asked, 4), round((hits + found) / asked, 4)) if asked else (None, None)


def _results(target: Target) -> Cache:
    app = target.application()
    broker = str(target.broker if app is None else app.conf.broker_write_url)
    return open_cache(target.settings(), broker)


def _servers(servers: Sequence[ServerState]) -> RenderableType:
    rows = Table("server", "state", "weight", "entries", "memory", box=box.SIMPLE_HEAD, pad_edge=False)
    for server in servers:
        away = server.standing is Standing.AWAY
        rows.add_row(
            Text(server.name, "bold"),
            Text(str(server.standing), _STYLES[server.standing]),
            Text(str(server.weight)),
            Text("-" if away else f"{server.entries:,}"),
            Text("-" if away else _megabytes(server.memory)),
        )
    return rows


def _nodes(nodes: Sequence[Node]) -> RenderableType:
    if not nodes:
        return Text("No node is up.")
    names = ("in memory", "bytes", "hits there", "hits in all", "answered", "joined", "published")
    rows = Table("node", *names, box=box.SIMPLE_HEAD, pad_edge=False)
    for node in nodes:
        figures = node.load.cache
        rows.add_row(
            Text(node.name, "bold"),
            Text(f"{figures.get('near_entries', 0):,}"),
            Text(_megabytes(figures.get("near_bytes", 0))),
            *(Text("-" if rate is None else f"{rate:.1%}") for rate in _rates(node)),
            *(Text(f"{figures.get(name, 0):,}") for name in ("answered", "joined", "published")),
        )
    return rows


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
