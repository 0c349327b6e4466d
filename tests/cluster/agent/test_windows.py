"""A wait list behind very many others."""

from __future__ import annotations

from pathlib import Path

from celery import Celery

from switchyard.models import Selector
from tests.support.cluster import Cluster
from tests.support.nodes import worker
from tests.support.servers import Server


def test_the_oldest_of_many_wait_lists_is_served(app: Celery, clean_valkey: Server, tmp_path: Path) -> None:
    """Broken if a task for a label starves because five hundred others wait for labels that no node has."""
    result = app.tasks["add"].apply_async((1, 1), placement={"labels": {"gpu": "h100"}})
    cluster = Cluster.on(clean_valkey)
    for number in range(700):
        cluster.place("m", selector=Selector(node=f"other{number}"), queue="celery")
    with worker(clean_valkey, tmp_path, options=["--label", "gpu=h100"], lease=2.0):
        assert result.get(timeout=60) == 2
