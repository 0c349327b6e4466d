"""One candidate's way to a grant, and its hold on what was granted: what locks and elections share."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from switchyard.coordination.clock import now
from switchyard.coordination.vote import Ballot, Outcome, close, count, lasts_until, majority
from switchyard.coordination.voter import LISTEN
from switchyard.coordination.voters import Voters
from switchyard.forking import PerProcess, free_after_fork

#: Longest pause in seconds after a vote that split: candidates that meet again at once would split it again.
_PAUSE = 0.02


@dataclass(frozen=True, slots=True)
class Attempt:
    """What asking once came to, the seconds after which asking again makes sense, and what went wrong."""

    outcome: Outcome
    again: float = LISTEN
    failures: tuple[str, ...] = ()


class Hold:
    """A grant of one subject, for ``ttl`` seconds at a time, to one owner. Threads may share it.

    ``token`` is greater than that of every holder before. ``until`` is when it ends at the latest, by this
    process's own clock (:func:`switchyard.coordination.clock.now`), which is before it ends on the servers.
    """

    def __init__(self, voters: Voters, subject: str, ttl: float) -> None:
        self.subject = subject
        self.ttl = ttl
        self.token = 0
        self.until = float("-inf")
        self._voters = voters
        self._owner = secrets.token_hex(16)
        self._place = 0
        self._turn = free_after_fork()
        # A fork of the holder does not hold it.
        self._mine = PerProcess(lambda: False)
        self._mine.set(True)

    @property
    def valid(self) -> bool:
        """Whether nobody else can have it now, as far as clocks can say."""
        return now() < self.until and self._mine.get()

    def acquire(self, wait: float, stopped: Callable[[], bool] = lambda: False) -> Attempt:
        """Ask, and if it is not to be had, wait in the line for so many seconds or until ``stopped``."""
        deadline = now() + wait
        while True:
            attempt = self._ask(in_line=wait > 0)
            left = deadline - now()
            if attempt.outcome is Outcome.WON or left <= 0 or stopped():
                break
            self._voters.listen(self._owner, min(left, attempt.again))
        if self._place:
            self.release()  # the place in the line is all that there is to give back
        return attempt

    def renew(self) -> bool | None:
        """Prolong it; False if the servers gave it up, None if too few of them answered to say."""
        with self._turn:
            return self._renew() if self.valid else False

    def release(self) -> bool | None:
        """Give it back; False if the servers had given it up before, None if too few answered to say."""
        if not self._mine.get():
            return False
        with self._turn:
            self.until = float("-inf")
            return self._release(place=0)

    def _ask(self, in_line: bool) -> Attempt:
        with self._turn:
            asked_at = now()
            answers = self._voters.ask(
                lambda voter: voter.grant(self.subject, self._owner, self._ttl_ms, self._place, in_line),
                lambda ballots: count(ballots, len(self._voters)) is not Outcome.OPEN,
            )
            ballots, outcome = answers.given, count(answers.given, len(self._voters))
            self._place = max(
                (ballot.number for ballot in ballots if not ballot.granted), default=self._place
            )
            if outcome is Outcome.WON and self._take(ballots, asked_at):
                return Attempt(Outcome.WON)
            return self._step_back(ballots, answers.failures, in_line)

    def _take(self, ballots: Sequence[Ballot], asked_at: float) -> bool:
        """Take what was granted. Several servers must agree on the token before it counts."""
        self.token = max(ballot.number for ballot in ballots if ballot.granted)
        self._place = 0
        if len(self._voters) > 1:
            return bool(self._renew())
        self.until = lasts_until(asked_at, self.ttl)
        return self.valid

    def _step_back(self, ballots: Sequence[Ballot], failures: tuple[str, ...], in_line: bool) -> Attempt:
        """Give back what a minority granted; the place in the line stays, the same one on all servers."""
        outcome = close(ballots, len(self._voters))
        left = min((ballot.left for ballot in ballots if ballot.left > 0), default=LISTEN)
        split = any(ballot.granted for ballot in ballots)
        # A grant may still be on its way; who asks again finds it then.
        if split or (0 < len(ballots) < len(self._voters) and not in_line):
            place = self._place
            self._voters.tell(lambda voter: voter.release(self.subject, self._owner, place))
        if split:
            left = min(left, random.uniform(0, _PAUSE))
        if young := sum(ballot.granted and not ballot.remembers for ballot in ballots):
            failures += (f"{young} began to remember less than a ttl ago and have no vote yet",)
        return Attempt(outcome, min(left, LISTEN), failures)

    def _renew(self) -> bool | None:
        asked_at = now()
        answers = self._voters.ask(
            lambda voter: voter.renew(self.subject, self._owner, self._ttl_ms, self.token), self._agreed
        ).given
        renewed = self._verdict(answers)
        if renewed is None:
            return None
        self.until = lasts_until(asked_at, self.ttl) if renewed else float("-inf")
        return self.valid

    def _release(self, place: int) -> bool | None:
        answers = self._voters.ask(
            lambda voter: voter.release(self.subject, self._owner, place), self._agreed
        ).given
        return self._verdict(answers)

    def _agreed(self, answers: Sequence[bool]) -> bool:
        return self._verdict(answers) is not None

    def _verdict(self, answers: Sequence[bool]) -> bool | None:
        """What a majority says, if one says the same."""
        yes = sum(answers)
        needed = majority(len(self._voters))
        if yes >= needed:
            return True
        return False if len(answers) - yes >= needed else None

    @property
    def _ttl_ms(self) -> int:
        return round(self.ttl * 1000)
