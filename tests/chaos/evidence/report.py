"""The verdict as one table, an engine to a column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from tests.chaos.evidence.verdict import Evidence, Kill, Verdict, judge
from tests.chaos.run.plan import Kind
from tests.chaos.scenarios import failover, forking, hanging
from tests.chaos.scenarios.story import Story

#: Columns that the table may take.
_WIDTH = 110
#: And what the figures of a story take beside.
_FIGURES = 30


def show(results: Mapping[str, tuple[Evidence, Verdict]], seed: int) -> None:
    """Print the table."""
    Console(width=_WIDTH).print(table(results, seed))


def table(results: Mapping[str, tuple[Evidence, Verdict]], seed: int) -> Table:
    """All engines side by side."""
    found = Table(title=f"chaos, seed {seed}")
    found.add_column("")
    columns = []
    for engine, (evidence, verdict) in results.items():
        found.add_column(engine, justify="right")
        columns.append(_rows(evidence, verdict, engine == "switchyard"))
    for row in columns[0]:
        found.add_row(row, *(column[row] for column in columns))
    return found


def _rows(evidence: Evidence, verdict: Verdict, ours: bool) -> dict[str, str]:
    return {
        "faults": _by_kind([hit.kind for hit in evidence.hits]),
        "faults that found nobody to hit": str(len(evidence.skipped)),
        "SIGKILLs of what runs tasks: planned, hit": f"{verdict.planned}, {len(verdict.kills)}",
        "partitions made with": evidence.partition_by,
        "appendfsync of a server that dies": evidence.appendfsync,
        "published (acknowledged)": str(verdict.published),
        "executed": str(verdict.executed),
        "lost": str(len(verdict.lost)),
        "forgotten: acknowledged within 1 s of a crash": str(len(verdict.forgotten)),
        "stuck in Redis at the end": str(len(verdict.stuck)),
        "given up (dead)": str(len(verdict.dead)) if ours else "-",
        "duplicates: started more than once": str(verdict.duplicates),
        "  of these finished more than once": str(verdict.finished_twice),
        "  explained by": "\n".join(f"{kind} {n}" for kind, n in sorted(verdict.by_kind.items())) or "-",
        "  unexplained": str(len(verdict.unexplained)),
        "duplicates a kill: mean, most": _duplicates(verdict.kills),
        "kills with more duplicates than slots": str(_excessive(verdict.kills)),
        "recovery after a node's kill: p50, p99, max": _quantiles(verdict.recovery),
        "  of tasks that were not hit again meanwhile": _quantiles(verdict.undisturbed),
        "recovery after a child's kill: p50, p99, max": _quantiles(_of_children(verdict.kills)),
        "children that outlived a killed parent": str(evidence.orphans),
        "silences past the lease, of these fenced": f"{verdict.silences}, {verdict.fenced}" if ours else "-",
        "leases lost without a fault": str(verdict.late) if ours else "-",
        "leftovers in Redis": str(len(verdict.leftovers)) if ours else "-",
        "samples of a bounded node over its limit": str(len(verdict.over_bound)) if ours else "-",
        "samples with more claims than slots": str(len(evidence.over_claimed)) if ours else "-",
        "nodes not back or not ending": str(len(verdict.not_back)),
    }


def show_failovers(results: Mapping[str, Sequence[failover.Outcome]]) -> None:
    """Print what each failover cost."""
    found = _titled("failovers", "engine", "failover", "replica promoted", "cluster went on", "lost with it")
    for engine, outcomes in results.items():
        for number, cost in enumerate(outcomes, 1):
            resumed = "never" if cost.resumed is None else f"{cost.resumed:.2f} s"
            lost = str(len(cost.unreplicated))
            found.add_row(engine, str(number), f"{cost.promoted:.2f} s", resumed, lost)
    Console(width=_WIDTH).print(found)


def show_forks(results: Mapping[str, forking.Outcome]) -> None:
    """Print how the children came and went."""
    found = _titled("forks", "engine", "tasks ended", "children", "seconds", "children/s", "longest gap")
    for engine, cost in results.items():
        rate = f"{cost.forks / cost.seconds:.1f}" if cost.seconds else "-"
        counts = str(cost.tasks), str(cost.forks)
        found.add_row(engine, *counts, f"{cost.seconds:.1f}", rate, f"{cost.longest_gap:.2f} s")
    Console(width=_WIDTH).print(found)


def show_hanging(cost: hanging.Outcome) -> None:
    """Print both kinds of silence."""
    found = _titled(f"silences, lease {cost.lease:g} s", "", "switchyard")
    busy, hung = cost.busy, cost.hung
    found.add_row("solo busy for", f"{busy.seconds:.1f} s")
    found.add_row("  oldest lease seen meanwhile", f"{busy.oldest_lease:.2f} s")
    found.add_row("  starts of its task", str(cost.starts))
    found.add_row("  tasks that ended elsewhere meanwhile", str(busy.meanwhile))
    found.add_row("event loop hung for", f"{hung.seconds:.1f} s")
    found.add_row("  lost after", f"{hung.lost_after:.2f} s")
    found.add_row("  tasks that it held then, of these run elsewhere", f"{len(hung.had)}, {len(cost.moved)}")
    found.add_row("  started elsewhere after its loss: p50, p99, max", _quantiles(cost.moved))
    found.add_row("  back after it woke", f"{hung.back_after:.2f} s")
    Console(width=_WIDTH).print(found)


def show_stories(results: Mapping[str, Story]) -> None:
    """Print each story's verdict and its own figures."""
    found = _titled("stories", "story", "acknowledged", "lost, stuck", "given up", "ran twice", "and")
    for name, story in results.items():
        verdict = judge(story.evidence)
        away, twice = f"{len(verdict.lost)}, {len(verdict.stuck)}", f"{verdict.duplicates}"
        twice += f" ({len(verdict.unexplained)} unexplained)" if verdict.unexplained else ""
        figures = "\n".join(f"{what}: {figure}" for what, figure in story.figures.items())
        found.add_row(name, str(verdict.published), away, str(len(verdict.dead)), twice, figures)
    Console(width=_WIDTH + _FIGURES).print(found)


def _titled(title: str, *columns: str) -> Table:
    found = Table(title=title)
    for number, column in enumerate(columns):
        found.add_column(column, justify="right" if number else "left")
    return found


def _by_kind(kinds: Sequence[Kind]) -> str:
    return "\n".join(f"{kind} {kinds.count(kind)}" for kind in Kind if kind in kinds) or "-"


def _duplicates(kills: Sequence[Kill]) -> str:
    counts = [kill.duplicates for kill in kills]
    return f"{sum(counts) / len(counts):.2f}, {max(counts)}" if counts else "-"


def _excessive(kills: Sequence[Kill]) -> int:
    return sum(kill.duplicates > kill.hit.slots for kill in kills)


def _of_children(kills: Sequence[Kill]) -> list[float]:
    return sorted(s for kill in kills if kill.hit.kind is Kind.KILL_CHILD for s in kill.recovery)


def _quantiles(seconds: Sequence[float]) -> str:
    """Of an ascending sequence."""
    if not seconds:
        return "-"
    p50, p99 = (seconds[min(len(seconds) - 1, int(len(seconds) * part))] for part in (0.5, 0.99))
    return f"{p50:.2f}, {p99:.2f}, {seconds[-1]:.2f} s (n={len(seconds)})"
