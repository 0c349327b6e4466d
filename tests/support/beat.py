"""An application with periodic entries on a server, and leaders that are driven by turns."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from redbeat import RedBeatSchedulerEntry

import switchyard
from switchyard.beat.clock import ServerClock
from switchyard.beat.drafting import Sender, tick_id
from switchyard.beat.entries import Entry
from switchyard.beat.instants import next_instant
from switchyard.beat.leader import Leader
from switchyard.beat.storage import Storage
from switchyard.cluster.state import State
from switchyard.settings import Settings
from switchyard.transport.opening import open_state
from tests.support.app import make_app
from tests.support.servers import Server
from tests.support.waiting import wait_until


class Bed:
    """An application, its storage, and messages that were sent."""

    def __init__(self, server: Server) -> None:
        self.app = make_app(server.url(), switchyard.Settings(refresh=60))
        self.state: State = open_state(self.app, Settings())
        self.storage = Storage.open(self.app, self.state.client)
        self.sender = Sender(self.app)
        self.now = ServerClock(self.state.client).now()

    def install(self, **entries: dict[str, Any]) -> None:
        """Take these entries over."""
        self.storage.install(entries, self.now)

    def entry(self, name: str) -> Entry:
        """One entry as it is stored."""
        return next(
            e for e in self.storage.entries(self.storage.keys(), self.now) if e.definition.name == name
        )

    def leader(self, leads: bool = True) -> Leader:
        """A leader of some term, to be driven by turns."""
        return Leader(
            self.storage, self.sender, ServerClock(self.state.client), lambda: leads, sweep_every=0.1
        )

    def messages(self, queue: str = "celery") -> list[dict[str, Any]]:
        """What is on a queue, oldest first."""
        return [json.loads(message) for message in reversed(self.state.client.lrange(queue, 0, -1))]

    def ids(self) -> list[str]:
        """Task ids of what was sent."""
        return [message["headers"]["id"] for message in self.messages()]

    def tick(self, name: str, instant: datetime) -> str:
        """The id of an entry's tick."""
        return tick_id(self.state.keys.prefix, f"redbeat:{name}", instant)

    def go_back(self, name: str, seconds: float) -> datetime:
        """As if the entry had run last so long ago; when that was."""
        last = self.now - timedelta(seconds=seconds)
        RedBeatSchedulerEntry.from_key(f"redbeat:{name}", app=self.app).reschedule(last)
        return last


def noop(every: Any, **more: Any) -> dict[str, Any]:
    return {"task": "noop", "schedule": every, **more}


def turn_until_sent(bed: Bed, leader: Leader, count: int) -> None:
    """Let the leader work until so many messages are on the queue, and all is recorded."""

    def done() -> bool:
        leader.turn()
        return len(bed.messages()) >= count

    wait_until(done, f"{count} messages are sent", timeout=10)
    leader.finish()


def instants_until(entry: Entry, last: datetime) -> Iterator[datetime]:
    """What is due of an entry after its last run, up to ``last``."""
    instant = next_instant(entry.definition.schedule, entry.last)
    while instant is not None and instant <= last:
        yield instant
        instant = next_instant(entry.definition.schedule, instant)
