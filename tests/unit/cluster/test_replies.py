"""Values from what the server answers."""

from __future__ import annotations

import json

from switchyard.cluster.replies.answers import NODE_FIELDS, read_node
from switchyard.models import NodeState


def test_a_node_of_a_later_version_may_say_more_of_its_load() -> None:
    """Producers that are not upgraded yet could not publish any more."""
    said = {"load": json.dumps({"cpu": 12.5, "weather": "sunny"}), "lease": "5000", "slots": "4"}
    row = [b"a", b"9000", b"up", 1, 2, [said.get(field, "").encode() for field in NODE_FIELDS]]
    node = read_node(5000, row)
    assert (node.state, node.load.cpu, node.lease_age) == (NodeState.UP, 12.5, 1.0)
    assert (node.outstanding, node.busy, node.free) == (3, 2, 2)
