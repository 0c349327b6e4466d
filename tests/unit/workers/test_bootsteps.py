"""Which name a Celery worker gets as a node."""

from __future__ import annotations

import pytest
from celery.utils.nodenames import default_nodename

from switchyard_workers.bootsteps import names, option_for_the_name


@pytest.mark.parametrize(
    ("node", "hostname", "name", "option"),
    [
        ("gpu-1", "gpu-1@vm", "gpu-1", "--node"),
        ("gpu-1", "celery@vm", "gpu-1", "SWITCHYARD_NODE"),
        (None, "w1@vm", "w1@vm", "-n"),
    ],
)
def test_a_name_that_somebody_chose_is_the_only_one(
    node: str | None, hostname: str, name: str, option: str
) -> None:
    """Broken if a worker runs under another name than was chosen, or the mend is no option that it has."""
    assert names(node, hostname) == [name]
    assert option_for_the_name(node, hostname) == option


def test_celerys_default_name_gets_a_number() -> None:
    """Broken if only one worker of an unchanged Procfile starts."""
    default = default_nodename(None)
    assert names(None, default)[:3] == [default, f"{default}-2", f"{default}-3"]
