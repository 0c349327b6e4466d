"""Runs Lua operations on one server: what everybody who reads or changes state in Redis is composed of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.exceptions import NoScriptError

from switchyard.adapters.redis_client import Argument, round_trip
from switchyard.cluster.keys import LUA_NAMES
from switchyard.lua import Script, script


@dataclass(frozen=True, slots=True)
class Call:
    """One run of an operation: its name, the keys that it touches, and its arguments."""

    operation: str
    keys: Sequence[str]
    args: Sequence[Argument]

    def command(self) -> tuple[Argument, ...]:
        """The command for a server that was taught the operation."""
        return ("EVALSHA", operation(self.operation).sha, len(self.keys), *self.keys, *self.args)


def operation(name: str) -> Script:
    """The script of an operation, with the names of keys that it asks for."""
    return script(name, LUA_NAMES)


class ScriptRunner:
    """Sends commands and operations over a client's connection pool. Errors are redis-py's."""

    def __init__(self, client: Redis) -> None:
        self.client = client

    def send(self, *command: Argument) -> Any:
        """The raw reply to one command."""
        return round_trip(self.client, *command)

    def run(self, name: str, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        """The reply of one operation; a server that does not know it is taught in a second round trip."""
        known = operation(name)
        try:
            return self.send("EVALSHA", known.sha, len(keys), *keys, *args)
        except NoScriptError:
            return self.send("EVAL", known.source, len(keys), *keys, *args)

    def call(self, call: Call) -> Any:
        """The reply of a call that somebody else put together."""
        return self.run(call.operation, call.keys, call.args)

    def run_each(self, name: str, calls: Sequence[tuple[Sequence[str], Sequence[Argument]]]) -> list[Any]:
        """One operation several times in one round trip; the server is taught it on the way."""
        pipeline = self.client.pipeline(transaction=False)
        known = operation(name)
        pipeline.script_load(known.source)
        for keys, args in calls:
            pipeline.evalsha(known.sha, len(keys), *keys, *args)
        return pipeline.execute()[1:]

    def load(self, *names: str) -> None:
        """Teach the server these operations, for callers that send commands themselves."""
        for name in names:
            self.client.script_load(operation(name).source)
