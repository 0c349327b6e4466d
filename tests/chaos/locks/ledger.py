"""What happened, in the order in which one independent server saw it, and the counter that tokens guard."""

from __future__ import annotations

import os
from dataclasses import dataclass

import redis

from tests.support.replies import texts

#: A write counts only with the highest token seen, which reading counts as well. What is written must be one
#: more than what was there: less would mean that the counter went back.
_RECORD = """
local kind, pid, token, written = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local highest = tonumber(redis.call('GET', KEYS[2]) or 0)
local value = tonumber(redis.call('GET', KEYS[3]) or 0)
local ok = 1
if kind == 'enter' and token > highest then
  redis.call('SET', KEYS[2], ARGV[3])
elseif kind == 'enter' or kind == 'write' then
  ok = token == highest and 1 or 0
end
if kind == 'write' and ok == 1 then
  redis.call('SET', KEYS[3], written)
  if written ~= value + 1 then kind = 'back' end
end
local at = string.format('%d.%06d', time[1], time[2])
redis.call('RPUSH', KEYS[1], table.concat({kind, pid, ARGV[3], at, ok}, ' '))
return value
"""
_KEYS = ("events", "highest", "value")


@dataclass(frozen=True, slots=True)
class Event:
    """One line: what, by which process, with which token or term, when (the server's clock), accepted or not.

    ``ask``, ``enter``, ``write``, ``leave`` of a lock; ``gain``, ``act``, ``loss`` of a leader; ``back`` is a
    write that was accepted and should not have been.
    """

    kind: str
    pid: int
    token: int
    at: float
    ok: bool = True


class Ledger:
    """Writes events; threads and forks may share it."""

    def __init__(self, port: int) -> None:
        self._client = redis.Redis(port=port)
        self._record = self._client.register_script(_RECORD)

    def record(self, kind: str, token: int = 0, written: int = 0) -> int:
        """Note an event of this process; the counter's value before it."""
        return int(self._record(keys=_KEYS, args=[kind, os.getpid(), token, written]))

    def length(self) -> int:
        """How many events there are."""
        return int(self._client.llen("events"))

    def since(self, start: int) -> list[Event]:
        """The events from the given one on."""
        return [_event(line) for line in texts(self._client.lrange("events", start, -1))]


def _event(line: str) -> Event:
    kind, pid, token, at, ok = line.split()
    return Event(kind, int(pid), int(token), float(at), ok == "1")
