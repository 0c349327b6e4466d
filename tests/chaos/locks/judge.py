"""The verdict over what the ledger saw and what was done: pure, and tested on its own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.chaos.locks.crew import Hit
from tests.chaos.locks.ledger import Event

#: Seconds over the ttl after which the lock or the leadership of one that died must be another's.
GRACE = 1.0
#: Seconds by which one must have asked earlier to count as overtaken: an ask takes a while to the line.
ASKED_EARLIER = 0.5


@dataclass(frozen=True, slots=True)
class Verdict:
    """Figures by name, seconds that it took to go on after each fault, and what must not have happened."""

    figures: dict[str, int]
    recoveries: list[float]
    violations: list[str] = field(default_factory=list)


def of_locks(events: Sequence[Event], hits: Sequence[Hit], ttl: float) -> Verdict:
    """Nobody overlapped unless paused, and then changed nothing; the dead block for a ttl; order was kept."""
    late = _late(events, "enter", ("enter", "write", "leave"))
    recoveries, stuck = _recoveries(events, hits, ttl, "enter", "leave")
    violations = [f"the counter went back: {event}" for event in events if event.kind == "back"]
    violations += [f"a late write was accepted: {e}" for e in late if e.kind == "write" and e.ok]
    violations += _unexplained(late, events, hits) + _shared(events, "enter") + stuck
    violations += [f"overtaken: {pair}" for pair in _overtaken(events, hits)]
    figures = {
        "times that it was held": _number(events, "enter"),
        "writes accepted": sum(event.ok for event in events if event.kind == "write"),
        "late writes, refused by the token": sum(not e.ok for e in events if e.kind == "write"),
        "losses that the holder was told": _number(events, "LockLost"),
        "waits that ended without it": _number(events, "LockNotAcquired") + _number(events, "NoQuorum"),
    }
    return Verdict(figures, recoveries, violations)


def of_elections(events: Sequence[Event], hits: Sequence[Hit], ttl: float) -> Verdict:
    """One leader in a term, terms grow, callbacks in turns, another leads soon after a fault."""
    late = _late(events, "gain", ("gain", "act", "loss"))
    recoveries, stuck = _recoveries(events, hits, ttl, "gain", "loss")
    violations = _unexplained(late, events, hits) + _shared(events, "gain") + _out_of_turn(events) + stuck
    figures = {
        "terms": _number(events, "gain"),
        "acts of leaders": _number(events, "act"),
        "late acts of a leader that was paused": len(late),
    }
    return Verdict(figures, recoveries, violations)


def _number(events: Sequence[Event], kind: str) -> int:
    return sum(event.kind == kind for event in events)


def _late(events: Sequence[Event], begins: str, acts: Sequence[str]) -> list[Event]:
    """Acts of one that held it, after another one with a higher token did."""
    highest, late = 0, []
    for event in events:
        if event.kind in acts and event.token < highest:
            late.append(event)
        if event.kind == begins:
            highest = max(highest, event.token)
    return late


def _unexplained(late: Sequence[Event], events: Sequence[Event], hits: Sequence[Hit]) -> list[str]:
    """Late acts of a process that was not paused since it last did something else."""
    found = []
    for act in late:
        before = [e.at for e in events if e.pid == act.pid and e.token != act.token and e.at < act.at]
        since = max(before, default=0.0)
        if not any(
            h.kind == "stop" and h.pid == act.pid and h.start <= act.at and h.end >= since for h in hits
        ):
            found.append(f"two at once without a pause: {act}")
    return found


def _shared(events: Sequence[Event], begins: str) -> list[str]:
    """Tokens that more than one process got."""
    holders = defaultdict(set)
    for event in events:
        if event.kind == begins:
            holders[event.token].add(event.pid)
    return [f"token {token} was given to {pids}" for token, pids in holders.items() if len(pids) > 1]


def _recoveries(
    events: Sequence[Event], hits: Sequence[Hit], ttl: float, begins: str, ends: str
) -> tuple[list[float], list[str]]:
    """Seconds from each fault of the one that held it to the next one's beginning."""
    last = events[-1].at if events else 0.0
    took, stuck = [], []
    for hit in hits:
        if not _holds(events, hit, begins, ends):
            continue
        begun = next(
            (e.at for e in events if e.kind == begins and e.at > hit.start and e.pid != hit.pid), None
        )
        own_end = next(
            (e.at for e in events if e.kind == ends and e.at > hit.start and e.pid == hit.pid), None
        )
        if own_end is not None and (begun is None or own_end < begun) and hit.kind != "kill":
            continue  # it went on in time
        if begun is not None and begun - hit.start <= ttl + GRACE:
            took.append(begun - hit.start)
        elif last - hit.start > ttl + GRACE and hit.end - hit.start > ttl + GRACE:
            stuck.append(f"not free {ttl + GRACE:g} s after {hit}: {begun and begun - hit.start} s")
    return took, stuck


def _holds(events: Sequence[Event], hit: Hit, begins: str, ends: str) -> bool:
    """Whether the process had it when it was hit."""
    before = [e for e in events if e.at <= hit.start and e.kind in (begins, ends)]
    mine = [event for event in before if event.pid == hit.pid]
    return bool(mine) and mine[-1].kind == begins and mine[-1].token == max(e.token for e in before)


def _overtaken(events: Sequence[Event], hits: Sequence[Hit]) -> list[tuple[Event, Event]]:
    """One that waited, unhurt, and the one that asked clearly later and was let in before."""
    asked: dict[int, Event] = {}
    found = []
    for event in events:
        if event.kind == "ask":
            asked[event.pid] = event
        elif event.kind == "enter":
            mine = asked.pop(event.pid)
            found += [
                (ask, event)
                for ask in asked.values()
                if ask.at < mine.at - ASKED_EARLIER and not _hurt(ask, event.at, hits)
            ]
        elif event.kind in ("LockNotAcquired", "NoQuorum"):
            asked.pop(event.pid, None)
    return found


def _hurt(ask: Event, until: float, hits: Sequence[Hit]) -> bool:
    """Whether one that asks was killed or stopped meanwhile, or just before."""
    return any(hit.pid == ask.pid and hit.start <= until and hit.end >= ask.at - GRACE for hit in hits)


def _out_of_turn(events: Sequence[Event]) -> list[str]:
    """Callbacks of one process that are not gain, loss, gain, or a loss of another term."""
    told: dict[int, Event] = {}
    found = []
    for event in events:
        if event.kind not in ("gain", "loss"):
            continue
        before = told.get(event.pid)
        leads = before is not None and before.kind == "gain"
        right = (
            leads and before is not None and before.token == event.token
            if event.kind == "loss"
            else not leads
        )
        if not right:
            found.append(f"callbacks out of turn: {event} after {before}")
        told[event.pid] = event
    return found
