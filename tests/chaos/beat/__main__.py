"""``python -m tests.chaos.beat``: kills the leader of ``switchyard beat``; counts ticks missing and doubled.

Exit code 0 if each tick was sent exactly once and the next came within 10 s of each kill; 1 if not.
"""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from pathlib import Path

import click

from tests.chaos.beat.candidates import Wishes
from tests.chaos.beat.run import run
from tests.chaos.beat.verdict import Verdict


def show(verdict: Verdict) -> None:
    """Print the figures."""
    late, gaps = verdict.late, verdict.gaps
    print(f"ticks due {verdict.expected}, missing {verdict.missing}, sent twice {verdict.twice}")
    if late:
        p50, p99 = (late[int(len(late) * part)] * 1000 for part in (0.5, 0.99))
        print(f"late: p50 {p50:.0f} ms, p99 {p99:.0f} ms, max {late[-1]:.2f} s, min {late[0] * 1000:.1f} ms")
    if gaps:
        print(f"next tick after {len(gaps)} kills: mean {sum(gaps) / len(gaps):.2f} s, max {max(gaps):.2f} s")


@click.command()
@click.option("--rate", type=click.IntRange(1), default=200, show_default=True, help="Ticks due a second.")
@click.option("--kills", type=click.IntRange(0), default=20, show_default=True)
@click.option("--pauses", type=click.IntRange(0), default=2, show_default=True)
@click.option(
    "--every",
    type=click.FloatRange(0.5),
    default=4.0,
    show_default=True,
    help="Longest that one leads, in seconds.",
)
@click.option("--ttl", type=click.FloatRange(1), default=5.0, show_default=True, help="Seconds.")
@click.option("--seed", type=int, default=None, help="The same seed makes the same plan.")
def main(rate: int, kills: int, pauses: int, every: float, ttl: float, seed: int | None) -> None:
    """Kill the leader of switchyard beat on purpose, and count."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    seed = seed if seed is not None else time.time_ns() % 1_000_000
    folder = Path(tempfile.mkdtemp(prefix="chaos-beat-"))
    print(f"seed {seed}; logs in {folder}", file=sys.stderr)
    verdict = run(Wishes(rate, kills, pauses, every, ttl, seed=seed), folder)
    show(verdict)
    for failure in verdict.failures():
        print(failure)
    sys.exit(1 if verdict.failures() else 0)


if __name__ == "__main__":
    main()
