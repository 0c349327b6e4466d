"""What was measured: pairs of samples, how they compare, and the target that they are held against."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.sides import Side


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, smallest and largest of some samples."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, samples: Sequence[float]) -> Spread:
        """The spread of at least one sample."""
        return cls(statistics.median(samples), min(samples), max(samples))


@dataclass(frozen=True, slots=True)
class Target:
    """A bound on the comparison: ``at_least`` or ``at_most``, as a ratio or, ``minus``, as a difference."""

    at_least: float | None = None
    at_most: float | None = None
    minus: bool = False

    def met(self, value: float) -> bool:
        """Whether the value keeps the bound."""
        return (self.at_least is None or value >= self.at_least) and (
            self.at_most is None or value <= self.at_most
        )


@dataclass(frozen=True, slots=True)
class Figure:
    """One measure: a sample of each side for every round, taken next to each other."""

    name: str
    unit: str
    pairs: tuple[Mapping[Side, float], ...]
    target: Target = Target()

    def side(self, side: Side) -> Spread:
        """The samples of one side."""
        return Spread.of([pair[side] for pair in self.pairs])

    def comparison(self) -> Spread:
        """Ours against stock, pair by pair, so that noise which both halves of a pair saw cancels."""
        if self.target.minus:
            return Spread.of([pair[Side.OURS] - pair[Side.STOCK] for pair in self.pairs])
        return Spread.of([pair[Side.OURS] / pair[Side.STOCK] for pair in self.pairs])

    def met(self) -> bool:
        """Whether the median comparison meets the target."""
        return self.target.met(self.comparison().median)
