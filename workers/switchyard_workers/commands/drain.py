"""``drain`` and ``resume``: take a node out of service for a while, and put it back."""

from __future__ import annotations

import click

from switchyard.cluster.state import State
from switchyard.errors import NoSuchNode, nearest
from switchyard_workers.commands.target import Target, on_cluster


@click.command()
@click.argument("node")
@on_cluster
def drain(target: Target, node: str) -> None:
    """Stop placing tasks on NODE and hand its inbox back. What it runs, it finishes."""
    state = target.open()
    given_back = state.drain(node)
    if given_back is None:
        raise no_such_node(state, node)
    tasks = "1 task" if given_back == 1 else f"{given_back} tasks"
    click.echo(f"{node} is draining: {tasks} given back. Undo it with: switchyard resume {node}")


@click.command()
@click.argument("node")
@on_cluster
def resume(target: Target, node: str) -> None:
    """Let NODE take tasks again, after drain."""
    state = target.open()
    if not state.resume(node):
        raise no_such_node(state, node)
    click.echo(f"{node} takes tasks again.")


def no_such_node(state: State, name: str) -> NoSuchNode:
    """The error for a name that the cluster does not know, with the nearest that it does."""
    known = [node.name for node in state.snapshot()]
    otherwise = "'switchyard nodes' lists those that it has" if known else "no node has joined it"
    return NoSuchNode(f"the cluster has no node {name!r}; {nearest(name, known, otherwise, most=3)}")
