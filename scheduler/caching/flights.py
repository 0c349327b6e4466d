"""Flights: executions that identical calls share. A call that finds one under way gets its task's id."""

from __future__ import annotations

from scheduler.replies import text
from scheduler.view import View


class Flights(View):
    """The flights of one cluster, on the broker. Each method is one round trip; errors are redis-py's."""

    def join(self, key: str, task_id: str, seconds: float) -> str:
        """Take the flight of ``key`` for a task, for so long; the id of the task that has it now."""
        return text(self._run("flight_join", [self.keys.flight(key)], [task_id, _ms(seconds)]))

    def renew(self, key: str, task_id: str, seconds: float) -> bool:
        """Hold it for so long from now; False if the task does not have it any more."""
        return bool(self._run("flight_renew", [self.keys.flight(key)], [task_id, _ms(seconds)]))

    def end(self, key: str, task_id: str) -> bool:
        """End it; False if the task did not have it any more."""
        return bool(self._run("flight_end", [self.keys.flight(key)], [task_id]))

    def cancel(self, key: str) -> None:
        """End it, whoever has it: what that task computes is out of date before it is done."""
        self.client.delete(self.keys.flight(key))


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))
