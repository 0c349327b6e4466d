"""Makes the message of a tick ahead of its time: through Celery as it is, but into our hands."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from switchyard.adapters.redbeat.hooks import HookedScheduler
from switchyard.beat.entries import Definition, Entry, to_us
from switchyard.beat.plan import Plan
from switchyard.beat.storage import Record
from switchyard.models import Tick
from switchyard.transport.batch import DRAFTS, Draft, Letter, Placements

#: Names the ids of ticks; any constant does.
_NAMESPACE = uuid.UUID("6ba0c2d5-5f0e-4f0c-9a53-3f1f5d0d6b1e")
#: Longest that the broker is waited for, in seconds: a leader must not hang on a connection that is cut.
_PATIENCE = 5.0


@dataclass(frozen=True, slots=True)
class Drafted:
    """The messages of an entry's ticks by a plan, not to go before ``at``."""

    at: datetime
    messages: tuple[tuple[Draft, Tick], ...]
    entry: Entry
    plan: Plan

    def record(self, refused: Collection[Tick] = ()) -> Record:
        """What to record when they were sent, but for those that were ``refused``: they had been before."""
        sent = {tick.instant for _, tick in self.messages if tick not in refused}
        return Record.sent(self.entry, len(sent), self.plan.last, self.plan.following)


def tick_id(scope: str, entry: str, instant: datetime) -> str:
    """The task id of a tick: the same, whoever sends it. ``scope`` tells clusters on one backend apart."""
    return str(uuid.uuid5(_NAMESPACE, f"{scope}{entry} {to_us(instant)}"))


class Sender:
    """Makes and sends the messages of one application's ticks, over a connection of its own."""

    def __init__(self, app: Any) -> None:
        self._app = app
        limits = {"socket_timeout": _PATIENCE, "socket_connect_timeout": _PATIENCE}
        self._connection = app.connection(app.conf.broker_write_url, transport_options=limits)
        self._channel = self._connection.default_channel
        self._producer = app.amqp.Producer(self._channel, auto_declare=False)
        self._state = self._channel.cluster_state
        self._scheduler = HookedScheduler(app)
        self._taught: set[str] = set()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def draft(self, entry: Entry, plan: Plan, now: datetime) -> Drafted:
        """The messages of the ticks of a plan. Raises what Celery does for a task that cannot be sent."""
        messages: list[tuple[Draft, Tick]] = []
        for instant in plan.instants:
            through = to_us(plan.through if instant == plan.instants[-1] else instant)
            for copy, draft in enumerate(self._made(entry, instant, max(instant, now))):
                # A topic exchange makes several messages of one tick, and each is sent once.
                messages.append(
                    (draft, Tick(f"{entry.key} {copy}" if copy else entry.key, to_us(instant), through))
                )
        at = max(plan.instants[0], now) if plan.instants else now
        return Drafted(at, tuple(messages), entry, plan)

    def _made(self, entry: Entry, instant: datetime, at: datetime) -> list[Draft]:
        definition = entry.definition
        drafts: list[Draft] = []
        options = _options(definition, at)
        options |= {"task_id": tick_id(self._state.keys.prefix, entry.key, instant), DRAFTS: drafts}
        self._scheduler.send(
            definition.name,
            definition.task,
            definition.schedule,
            definition.args,
            definition.kwargs,
            options,
            self._producer,
        )
        return drafts

    def send(self, all_drafted: Iterable[Drafted]) -> list[Tick]:
        """Send each message, those that we place in one round trip; the ticks that had been sent before."""
        refused: list[Tick] = []
        taught, self._taught = self._taught, set()
        with self._state.client.pipeline(transaction=False) as pipeline:
            placements = Placements(self._state, pipeline, taught)
            for drafted in all_drafted:
                for draft, tick in drafted.messages:
                    if isinstance(draft, Letter):
                        placements.place(draft, tick)
                    elif self._state.mark(tick):
                        draft()
                    else:
                        refused.append(tick)
            placements.write()
            refused += placements.refused(pipeline.execute())
        # A server that restarted has forgotten the scripts: this fails, and the next one teaches again.
        self._taught = taught
        return refused


def _options(definition: Definition, at: datetime) -> dict[str, Any]:
    """The entry's options. Times that count from the sending count from ``at``, not from the drafting."""
    options = dict(definition.options)
    options["headers"] = {**(options.get("headers") or {}), "celery_beat_task": True}
    options["timestamp"] = at.timestamp()
    if isinstance(expires := options.get("expires"), int | float):
        options["expires"] = at + timedelta(seconds=expires)
    if (countdown := options.pop("countdown", None)) is not None:
        options["eta"] = at + timedelta(seconds=countdown)
    return options
