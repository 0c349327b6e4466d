"""``drain`` and ``resume``: a node is taken out of service and put back."""

from __future__ import annotations

import pytest

from tests.support.cluster import Cluster
from tests.support.commands import one_line, run
from tests.support.nodes import APP, environment
from tests.support.servers import Server


def test_drain_gives_the_inbox_back_and_resume_undoes_it(server: Server) -> None:
    """A node could not be taken out of service before its machine is, or not put back."""
    cluster = Cluster.on(server)
    cluster.join("n1", limit=3)
    cluster.place("one", "n1")
    cluster.place("two", "n1")
    done = run("drain", "n1", "--broker", server.url())
    assert (done.returncode, "2 tasks given back" in done.stdout) == (0, True), done
    assert cluster.shared() == ["one", "two"]
    assert cluster.place("three", "n1", bounded=False) is None
    done = run("-A", APP, "resume", "n1", program="celery", env=environment(server))
    assert done.returncode == 0, done.stderr
    assert cluster.place("four", "n1", bounded=False) == "n1"


@pytest.mark.parametrize("command", ["drain", "resume"])
def test_a_mistyped_node_is_refused_with_the_nearest_name(clean_valkey: Server, command: str) -> None:
    """An operator would believe that a node was drained while it goes on."""
    Cluster.on(clean_valkey).join("gpu-1")
    line = one_line(run(command, "gpu1", "--broker", clean_valkey.url()))
    assert "'gpu1'" in line
    assert "did you mean 'gpu-1'?" in line
