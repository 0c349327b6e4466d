"""The router: lets the user's own routes pick the queue, then says how the task shall be placed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from switchyard.placement.placer import Placer
from switchyard.placement.request import PLACEMENT, PlacementRequest

#: Task names whose request is remembered; names may be made up at run time, so there is an end.
NAMES_MAX = 10_000


class Router:
    """A callable for Celery's ``task_routes``.

    ``lookup`` asks the user's own routers; what it finds is kept, and the placement is added to it, unless
    ``applies`` says that nobody would understand one.
    """

    def __init__(
        self,
        placer: Placer,
        lookup: Callable[..., dict[str, Any] | str | None] | None = None,
        applies: Callable[[], bool] = lambda: True,
    ) -> None:
        self.placer = placer
        self._lookup = lookup
        self._applies = applies
        self._plain: dict[str, PlacementRequest] = {}

    def __call__(
        self,
        name: str,
        args: Sequence[Any] | None,
        kwargs: Mapping[str, Any] | None,
        options: dict[str, Any],
        task: Any = None,
        **_: Any,
    ) -> dict[str, Any]:
        """A fresh route. Raises ConfigurationError for a ``placement=`` that cannot work.

        What a caller passes wins over a route, so the caller's ``placement=`` is taken out of ``options``
        and put into the headers, where a retry finds it again.
        """
        found = self._lookup(name, args, kwargs, options, task) if self._lookup else None
        route: dict[str, Any] = {"queue": found} if isinstance(found, str) else dict(found or {})
        asked = options.pop(PLACEMENT, None)
        if not self._applies():
            route.pop(PLACEMENT, None)
            return route
        kept = (options.get("headers") or {}).get(PLACEMENT)
        wanted = next((wish for wish in (asked, kept, route.get(PLACEMENT)) if wish is not None), None)
        route[PLACEMENT] = self._request(name, wanted)
        if asked is not None:
            options["headers"] = {**(options.get("headers") or {}), PLACEMENT: dict(asked)}
        return route

    def _request(self, name: str, wanted: Mapping[str, Any] | None) -> PlacementRequest:
        """The request for a task; one that says nothing of its own is the same each time."""
        if wanted is None and name in self._plain:
            return self._plain[name]
        request = PlacementRequest(self.placer.intent(name, wanted), self.placer)
        if wanted is None and len(self._plain) < NAMES_MAX:
            self._plain[name] = request
        return request
