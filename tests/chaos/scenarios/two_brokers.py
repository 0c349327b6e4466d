"""``broker_url="A;B"`` and A dies: the cluster goes on with B, and what A had runs when A is back."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import redis

from tests.chaos.bed.bed import Bed, Wishes, await_ready, made
from tests.chaos.evidence import ledger, observe
from tests.chaos.evidence.verdict import EVERYBODY, Hit
from tests.chaos.machines.servers import Durability, Server
from tests.chaos.run import drive
from tests.chaos.run.drive import Say
from tests.chaos.run.plan import Kind
from tests.chaos.scenarios.story import Story
from tests.support.waiting import wait_until

#: Load on each server, in seconds.
_LOAD = 6.0
#: For the cluster to go on with the other server, and for all that it has to run, in seconds.
_GOES_ON, _RUNS = 60.0, 90.0


class Pair(Server):
    """Two servers that are named in one URL: this one first, then the ``other``."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "a", durability=Durability.ALWAYS)
        self.other = Server(folder / "b")
        self._top = folder

    @property
    def url(self) -> str:
        """Both, as Celery takes them."""
        return f"{super().url};{self.other.url}"

    @property
    def transport_options(self) -> Mapping[str, Any]:
        """A publish gives up soon enough on a server that is gone."""
        return {"socket_connect_timeout": 2.0}

    def start(self, follows: Server | None = None) -> None:
        """Start both; again, only this one, which kept what it had."""
        self._top.mkdir(exist_ok=True)
        super().start(follows)
        if not self.other.is_started:
            self.other.start()

    def close(self) -> None:
        """SIGKILL both."""
        super().close()
        self.other.close()


def wishes(nodes: int, slots: int, lease: float) -> Wishes:
    """A cluster under load."""
    return Wishes(nodes=nodes, slots=slots, lease=lease, renew=lease / 4)


def run(wishes: Wishes, folder: Path, say: Say) -> Story:
    """Load on A, A dies, load on B, all of B runs, and at last all of A."""
    pair = Pair(folder / "redis")
    with made(wishes, folder, pair) as bed:
        _rest(_LOAD)
        killed = time.monotonic()
        bed.hits.append(Hit(Kind.RESTART_REDIS, EVERYBODY, killed, killed))
        pair.kill()
        wait_until(lambda: _ran_since(bed, killed), "a task that was published to B ends", _GOES_ON)
        goes_on = time.monotonic() - killed
        say(f"A is dead; the cluster goes on with B after {goes_on:.1f} s")
        _rest(_LOAD)
        bed.stop_producers()
        with pair.other.client() as there:
            wait_until(lambda: not _left(there, bed), "all that B has runs", _RUNS)
        say("B is empty; A comes back, and the nodes start again")
        bed.complaints += bed.stop_nodes()
        pair.start()
        bed.hits[0] = replace(bed.hits[0], end=time.monotonic())
        for node in bed.nodes:
            node.start()
        await_ready(bed, bed.nodes)
        drive.drain(bed)
        evidence = drive.gather(bed)
    return Story(evidence, (), {"the cluster went on with B after": f"{goes_on:.1f} s"})


def _ran_since(bed: Bed, at: float) -> bool:
    asked = {publish.task: publish.asked for publish in ledger.publishes(bed.folder / "publishes")}
    return any(run.end is not None and asked.get(run.task, 0.0) > at for run in _runs(bed))


def _runs(bed: Bed) -> Sequence[ledger.Run]:
    return ledger.runs(bed.folder / "runs")


def _left(client: redis.Redis, bed: Bed) -> Mapping[str, str]:
    return observe.left(client, [node.name for node in bed.nodes])


def _rest(seconds: float) -> None:
    until = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() > until, "there was load", seconds + 1)
