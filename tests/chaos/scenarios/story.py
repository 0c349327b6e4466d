"""What a scenario of this room gives: the evidence, what went wrong, and its own figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.chaos.evidence.verdict import Evidence, judge


@dataclass(frozen=True, slots=True)
class Story:
    """One run. ``wrong`` is what must not be, beside the verdict; ``figures`` are for the table."""

    evidence: Evidence
    wrong: tuple[str, ...] = ()
    figures: Mapping[str, str] = field(default_factory=dict)

    def failures(self) -> list[str]:
        """What must not be, in words."""
        return [*judge(self.evidence).failures(), *self.wrong]
