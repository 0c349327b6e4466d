"""The decision, as values: from the servers' answers to granted or not, and for how long.

A server that was restarted, or whose database was emptied, may have forgotten to whom it had granted. Its
vote counts only once it has been up for a whole ttl, by when everything that it forgot has run out, or if
all servers vote alike: then no server remembers another holder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

#: Part of the ttl that a holder does not use: its clock and a server's may run apart by this much, and a
#: callback that hears of the loss needs a moment before the next holder is let in.
ALLOWANCE = 0.1


class Outcome(Enum):
    """What a vote comes to."""

    WON = "a majority granted it"
    HELD = "others hold it, or wait in front of us"
    NO_QUORUM = "too few servers could say"
    OPEN = "answers that matter are missing"


@dataclass(frozen=True, slots=True)
class Ballot:
    """One server's answer. ``number`` is the token if it granted, else the place in its line (0: none).

    ``left`` is how many seconds the grant of somebody else still lasts.
    """

    granted: bool
    number: int
    remembers: bool = True
    left: float = 0.0


def majority(voters: int) -> int:
    """How many of so many servers decide."""
    return voters // 2 + 1


def count(ballots: Sequence[Ballot], voters: int) -> Outcome:
    """What the ballots that are in come to, while others may still come."""
    granted = [ballot for ballot in ballots if ballot.granted]
    trusted = sum(ballot.remembers for ballot in granted)
    missing = voters - len(ballots)
    if trusted >= majority(voters) or len(granted) == voters:
        return Outcome.WON
    unanimous_still = len(granted) == len(ballots)
    if missing and (unanimous_still or trusted + missing >= majority(voters)):
        return Outcome.OPEN
    return close(ballots, voters)


def close(ballots: Sequence[Ballot], voters: int) -> Outcome:
    """What a vote that was not won comes to when no more ballots are awaited."""
    refused = any(not ballot.granted for ballot in ballots)
    return Outcome.HELD if refused and len(ballots) >= majority(voters) else Outcome.NO_QUORUM


def lasts_until(asked_at: float, ttl: float) -> float:
    """When a holder must stop: the time that the vote took and the allowance are off. Seconds."""
    return asked_at + ttl * (1 - ALLOWANCE)
