"""From what was noted to what it means. Pure: no process, no server, no clock."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.chaos.evidence.ledger import Publish, Run
from tests.chaos.run.plan import KILLS, Kind

#: Every node: what is done to the broker is done to all of them.
EVERYBODY = "*"
#: Between a task's end in the ledger and the arrival of its settlement in Redis, in seconds: until then a
#: fault makes it run again. A busy machine of two cores needs some of this for a prefork child's result.
GRACE = 1.5
#: Faults that must not make any task run twice.
HARMLESS = frozenset({Kind.TERM, Kind.PRODUCER_KILL, Kind.JOIN, Kind.CLOCK})
#: Faults during which a node is not heard but lives on.
SILENT = frozenset({Kind.PAUSE, Kind.PARTITION})
#: Faults under which a publish that is not answered is sent again.
OF_THE_BROKER = frozenset(
    {Kind.CUT, Kind.RESTART_REDIS, Kind.CRASH_REDIS, Kind.FAILOVER, Kind.SILENT_PRODUCER}
)


@dataclass(frozen=True, slots=True)
class Hit:
    """A fault that took place.

    ``pid`` if only this process was hit; ``held`` are tasks that the node had in Redis; ``forgot`` is how
    many seconds before it the server forgot.
    """

    kind: Kind
    node: str
    start: float
    end: float
    pid: int | None = None
    held: frozenset[str] = frozenset()
    slots: int = 0
    forgot: float = 0.0


@dataclass(frozen=True, slots=True)
class Loss:
    """The cluster declared a node lost: its lease had run out."""

    node: str
    at: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that a run left behind: hits in order of time; ``left`` says where in Redis a task still is.

    ``orphans`` are pool children that still ran when their killed parent's node started again; ``planned``
    is how many SIGKILLs the plan asked for, ``skipped`` what found nobody to hit.
    """

    publishes: Sequence[Publish]
    runs: Sequence[Run]
    hits: Sequence[Hit]
    left: Mapping[str, str] = field(default_factory=dict)
    leftovers: Sequence[str] = ()
    over_bound: Sequence[str] = ()
    over_claimed: Sequence[str] = ()
    planned: int = 0
    skipped: Sequence[Kind] = ()
    losses: Sequence[Loss] = ()
    orphans: int = 0
    lease: float = 0.0
    not_back: Sequence[str] = ()
    partition_by: str = "-"
    appendfsync: str = "-"


@dataclass(frozen=True, slots=True)
class Kill:
    """What one SIGKILL cost: slots busy then, tasks that ran twice for it, seconds to their restarts.

    ``undisturbed`` are the restarts of tasks whose next owner was not hit as well before they started.
    """

    hit: Hit
    busy: int
    duplicates: int
    recovery: tuple[float, ...]
    undisturbed: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of the acknowledged tasks.

    ``lost`` are nowhere, ``stuck`` are still in Redis; ``forgotten`` are nowhere as well, but were
    acknowledged in a time that the server may forget.
    """

    published: int
    executed: int
    lost: tuple[str, ...]
    forgotten: tuple[str, ...]
    stuck: tuple[str, ...]
    dead: tuple[str, ...]
    duplicates: int
    finished_twice: int
    by_kind: Mapping[Kind, int]
    late: int
    silences: int
    fenced: int
    unexplained: tuple[str, ...]
    planned: int
    kills: tuple[Kill, ...]
    skipped: tuple[Kind, ...]
    leftovers: tuple[str, ...]
    over_bound: tuple[str, ...]
    not_back: tuple[str, ...]

    @property
    def recovery(self) -> tuple[float, ...]:
        """Seconds from the kill of a node to the next start of a task that it had, ascending."""
        return tuple(sorted(seconds for kill in _of_nodes(self.kills) for seconds in kill.recovery))

    @property
    def undisturbed(self) -> tuple[float, ...]:
        """The same, of tasks that one kill only kept from starting: the others count from the last one."""
        return tuple(sorted(seconds for kill in _of_nodes(self.kills) for seconds in kill.undisturbed))

    def failures(self) -> list[str]:
        """What must not be, in words; empty if the run is good."""
        found = {
            "acknowledged tasks lost": self.lost,
            "tasks stuck in Redis": self.stuck,
            "unexplained duplicates": self.unexplained,
            "leftovers": self.leftovers,
            "nodes over their limit": self.over_bound,
            "nodes that did not come back": self.not_back,
            "faults found nobody to hit": self.skipped,
        }
        words = [f"{len(what)} {name}: {', '.join(what[:5])}" for name, what in found.items() if what]
        if len(self.kills) < self.planned:
            words.append(f"only {len(self.kills)} of {self.planned} planned SIGKILLs hit somebody")
        return words


def judge(evidence: Evidence) -> Verdict:
    """Compare what was acknowledged with what ran, and what ran twice with what was done to the cluster."""
    late = _late(evidence)
    hits = sorted([*evidence.hits, *late], key=lambda hit: hit.start)
    silences = [hit for hit in evidence.hits if hit.kind in SILENT and hit.end - hit.start > evidence.lease]
    acked = [publish for publish in evidence.publishes if publish.acked is not None]
    runs = _by_task(evidence.runs)
    ended = {run.task for run in evidence.runs if run.end is not None}
    missing = [publish.task for publish in acked if publish.task not in ended]
    gone = [task for task in missing if task not in evidence.left]
    asked = {publish.task: publish for publish in evidence.publishes}
    twice = {task: found for task, found in runs.items() if len(found) > 1}
    causes = {task: _causes(found, asked.get(task), hits) for task, found in twice.items()}
    explained = {task: hits for task, hits in causes.items() if len(hits) >= len(twice[task]) - 1}
    return Verdict(
        published=len(acked),
        executed=len(acked) - len(missing),
        lost=tuple(task for task in gone if not _may_be_forgotten(asked[task], evidence.hits)),
        forgotten=tuple(task for task in gone if _may_be_forgotten(asked[task], evidence.hits)),
        stuck=tuple(task for task in missing if evidence.left.get(task, "dead") != "dead"),
        dead=tuple(task for task in missing if evidence.left.get(task) == "dead"),
        duplicates=len(twice),
        finished_twice=sum(sum(run.end is not None for run in found) > 1 for found in twice.values()),
        by_kind=_count(hits[0].kind for hits in explained.values()),
        late=len(late),
        silences=len(silences),
        fenced=sum(any(_caused(hit, loss, evidence.lease) for loss in evidence.losses) for hit in silences),
        unexplained=tuple(sorted(set(twice) - set(explained))),
        planned=evidence.planned,
        kills=tuple(_kill(hit, hits, runs, explained) for hit in hits if hit.kind in KILLS),
        skipped=tuple(evidence.skipped),
        leftovers=tuple(evidence.leftovers),
        over_bound=tuple(evidence.over_bound),
        not_back=tuple(evidence.not_back),
    )


def _late(evidence: Evidence) -> list[Hit]:
    """Leases that ran out though nobody had touched the node: the machine is too slow for such a lease."""
    lease = evidence.lease
    return [
        Hit(Kind.LATE, loss.node, loss.at - lease, loss.at + lease)
        for loss in evidence.losses
        if not any(_caused(hit, loss, lease) for hit in evidence.hits)
    ]


def _caused(hit: Hit, loss: Loss, lease: float) -> bool:
    """Whether the node was lost because of the hit: others see it a lease later, or two if they restarted."""
    same = hit.node in (EVERYBODY, loss.node)
    return same and hit.start <= loss.at <= hit.end + 2 * lease + GRACE


def _by_task(runs: Iterable[Run]) -> dict[str, list[Run]]:
    found: dict[str, list[Run]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: run.start):
        found[run.task].append(run)
    return found


def _causes(runs: Sequence[Run], publish: Publish | None, hits: Sequence[Hit]) -> list[Hit]:
    """For each run that a fault overlapped, that fault; for a publish that one overlapped, the fault too."""
    harmful = [hit for hit in hits if hit.kind not in HARMLESS]
    found = [
        next((hit for hit in harmful if _explains(hit, run) and _precedes(hit, run, runs)), None)
        for run in runs
    ]
    if publish is not None:
        found.append(next((hit for hit in harmful if _doubts(hit, publish)), None))
    return [hit for hit in found if hit is not None]


def _explains(hit: Hit, run: Run) -> bool:
    """Whether the run was on the node that was hit, and neither settled before nor started after."""
    if hit.node not in (EVERYBODY, run.node) or hit.pid not in (None, run.pid):
        return False
    settled = float("inf") if run.end is None else run.end + GRACE
    return run.start <= hit.end + GRACE and settled >= hit.start - hit.forgot


def _may_be_forgotten(publish: Publish, hits: Iterable[Hit]) -> bool:
    """Whether it was acknowledged by a server that crashed so soon afterwards that its disk need not know."""
    acked = float("inf") if publish.acked is None else publish.acked
    return any(hit.forgot and hit.start - hit.forgot <= acked <= hit.end for hit in hits)


def _precedes(hit: Hit, run: Run, runs: Sequence[Run]) -> bool:
    """Whether the task started elsewhere only after the hit: nothing is handed out again before its cause."""
    return any(other is not run and other.start > hit.start for other in runs)


def _doubts(hit: Hit, publish: Publish) -> bool:
    acked = float("inf") if publish.acked is None else publish.acked
    return hit.kind in OF_THE_BROKER and publish.asked <= hit.end + GRACE and acked >= hit.start


def _count(kinds: Iterable[Kind]) -> dict[Kind, int]:
    found: dict[Kind, int] = defaultdict(int)
    for kind in kinds:
        found[kind] += 1
    return dict(found)


def _kill(
    hit: Hit, hits: Sequence[Hit], runs: Mapping[str, list[Run]], explained: Mapping[str, list[Hit]]
) -> Kill:
    running = {task for task, found in runs.items() if any(_was_running(hit, hits, run) for run in found)}
    again = {
        task: run.start
        for task in running | hit.held
        if (run := next((run for run in runs.get(task, ()) if run.start > hit.start), None)) is not None
    }
    duplicates = sum(causes[0] is hit for causes in explained.values())
    recovery = tuple(sorted(start - hit.start for start in again.values()))
    undisturbed = tuple(
        sorted(start - hit.start for task, start in again.items() if not _hit_again(task, hit, start, hits))
    )
    return Kill(hit, len(running), duplicates, recovery, undisturbed)


def _hit_again(task: str, hit: Hit, start: float, hits: Sequence[Hit]) -> bool:
    """Whether the task's next owner was hit too while it waited there."""
    return any(task in other.held and hit.start < other.start < start for other in hits)


def _of_nodes(kills: Iterable[Kill]) -> Iterable[Kill]:
    return (kill for kill in kills if kill.hit.kind is not Kind.KILL_CHILD)


def _was_running(hit: Hit, hits: Sequence[Hit], run: Run) -> bool:
    """Whether the hit came in the middle of the run, and nothing else had ended the run before."""
    if not _explains(hit, run) or run.start > hit.start:
        return False
    if run.end is not None:
        return run.end > hit.start
    return next(other for other in hits if _explains(other, run) and other.kind in KILLS) is hit
