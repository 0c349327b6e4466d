"""Results of cached tasks: where an application keeps them, and the flights of those computed now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from celery import Celery
from kombu.utils.json import dumps, loads

from switchyard.cache.cache import Cache
from switchyard.cache.near.cache import NearCache
from switchyard.cached_tasks.flights import Flights
from switchyard.errors import NotCacheable
from switchyard.forking import PerProcess, free_after_fork
from switchyard.settings import Settings
from switchyard.transport.broker import Broker
from switchyard.transport.opening import open_state
from switchyard.urls import server_of_broker

#: Longest that a result may be kept, in seconds (a week).
LONGEST_TTL_S = 7 * 86_400.0


@dataclass(frozen=True, slots=True)
class Remembered:
    """A result and the id of the task that computed it."""

    task_id: str
    value: Any


def cache_servers(settings: Settings, broker_url: str) -> tuple[str, ...]:
    """The servers of the settings, or the broker's own. Raises ConfigurationError."""
    if settings.cache_servers:
        return settings.cache_servers
    return (server_of_broker(broker_url),)


def open_cache(settings: Settings, broker_url: str) -> Cache:
    """The cache that holds an application's results. No connection is made. Raises ConfigurationError."""
    return Cache(
        cache_servers(settings, broker_url),
        replicas=settings.cache_replicas,
        namespace=f"{settings.namespace}-results",
        longest_ttl=LONGEST_TTL_S,
    )


class Results:
    """The results of one application's cached tasks. Opened when first used; for any threads and forks."""

    def __init__(self, app: Celery, settings: Settings, broker: Broker) -> None:
        self._app = app
        self._settings = settings
        self._broker = broker
        self._lock = free_after_fork()
        self._near: NearCache | None = None
        self._flights: PerProcess[Flights | None] = PerProcess(lambda: None)

    @property
    def kept(self) -> bool:
        """Whether results are kept: not where the broker, which keeps the flights, is not one of ours."""
        return self._broker.is_ours

    @property
    def lease(self) -> float:
        """Seconds of silence after which a task that computes counts as lost."""
        return self._settings.lease

    @property
    def flights(self) -> Flights:
        """This process's connection to the flights. Raises BrokerUnreachable."""
        flights = self._flights.get()
        if flights is None:
            # Under no lock: who can't connect would keep those after it waiting, one after the other.
            flights = self._open_flights()
            self._flights.set(flights)
        return flights

    def load(self, key: str) -> Remembered | None:
        """The result under this key."""
        kept = self._cache().get(key)
        return None if kept is None else Remembered(kept[0], loads(kept[1]))

    def keep(self, key: str, result: Remembered, ttl: float) -> None:
        """Remember a result for ``ttl`` seconds. Raises NotCacheable: too large, or not what JSON can say."""
        try:
            text = dumps(result.value)
        except (TypeError, ValueError) as exc:
            raise NotCacheable(f"{key!r} is not kept: {exc}; return what JSON can say") from exc
        self._cache().set(key, [result.task_id, text], ttl)

    def forget(self, key: str) -> bool:
        """Forget a result; False if no server that may have it could be asked."""
        return self._cache().delete(key)

    def _cache(self) -> NearCache:
        if self._near is None:
            with self._lock:
                self._near = self._near or self._open()
        return self._near

    def _open_flights(self) -> Flights:
        state = open_state(self._app, self._settings)
        return Flights(state.client, state.keys, self.lease)

    def _open(self) -> NearCache:
        cache = open_cache(self._settings, self._app.conf.broker_write_url)
        return NearCache(cache, self._settings.near_entries, self._settings.near_bytes)
