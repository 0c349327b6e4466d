"""Which of the tasks given up on are meant."""

from __future__ import annotations

from dataclasses import replace

import pytest

from switchyard.cluster.as_json import DeadSummary
from switchyard.cluster.sought import Sought

NOW = 1_000_000.0
DEAD = DeadSummary(
    "7", "shop.bill", "id", None, None, "mail", 5, ("a",), "5 nodes died holding it", NOW - 3600
)


@pytest.mark.parametrize(
    ("sought", "meant"),
    [
        (Sought(), True),
        (Sought(queue="mail"), True),
        (Sought(queue="mai"), False),
        (Sought(task="shop.*"), True),
        (Sought(task="shop"), False),
        (Sought(reason="DIED holding"), True),
        (Sought(reason="unknown"), False),
        (Sought(older=3600), True),
        (Sought(older=3601), False),
        (Sought(newer=3600), True),
        (Sought(newer=3599), False),
        (Sought(queue="mail", task="*.bill", reason="5", older=60, newer=7200), True),
        (Sought(queue="mail", task="*.ship"), False),
    ],
)
def test_a_task_is_meant_if_all_that_is_said_is_true_of_it(sought: Sought, meant: bool) -> None:
    """Broken if a task that is not meant is requeued, or thrown away for good."""
    assert sought.matches(DEAD, NOW) is meant


def test_a_task_without_a_name_is_meant_where_no_name_is_asked_for() -> None:
    """Broken if a message that can't be read is thrown away with tasks of some name."""
    unreadable = replace(DEAD, task=None)
    assert Sought(queue="mail").matches(unreadable, NOW)
    assert not Sought(task="shop.*").matches(unreadable, NOW)
