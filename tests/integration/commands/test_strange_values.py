"""``check`` on a cluster with values that nobody can read."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner

from switchyard_workers.cli import main
from tests.support.cluster import Cluster
from tests.support.servers import Server


def found(server: Server) -> list[dict[str, str]]:
    """What ``check`` says; it must not end in a traceback."""
    done = CliRunner().invoke(main, ["check", "--broker", server.url(), "--json"])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    findings: list[dict[str, str]] = json.loads(done.stdout)
    return findings


def spoil_node(cluster: Cluster) -> None:
    cluster.join("odd")
    mapping: Any = {"slots": "1.5", "queues": "not json", "load": "[1]", "labels": "7"}
    cluster.state.client.hset(cluster.state.keys.node("odd"), mapping=mapping)


def spoil_wait_list(cluster: Cluster) -> None:
    odd = cluster.state.keys.prefix + "odd"
    cluster.state.client.lpush(odd, "m")
    cluster.state.client.zadd(cluster.state.keys.waiting, {odd: 1})


def spoil_type(cluster: Cluster) -> None:
    cluster.join("odd")
    cluster.state.client.delete(cluster.state.keys.inbox("odd"))
    cluster.state.client.set(cluster.state.keys.inbox("odd"), "no sorted set")


@pytest.mark.parametrize("spoil", [spoil_node, spoil_wait_list, spoil_type])
def test_check_names_what_it_cannot_read(server: Server, spoil: Callable[[Cluster], None]) -> None:
    """Broken if the command for when something is wrong ends in a traceback, or says all is well."""
    spoil(Cluster.on(server))
    assert any(one["level"] == "problem" and "odd" in one["finding"] for one in found(server))
