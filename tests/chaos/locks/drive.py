"""One run: servers, forked processes, faults drawn from a seed; then the verdict."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.chaos.locks import judge, members
from tests.chaos.locks.crew import Body, Crew
from tests.chaos.locks.judge import GRACE, Verdict
from tests.chaos.locks.ledger import Ledger
from tests.chaos.machines import processes
from tests.chaos.machines.servers import Server
from tests.support.servers import free_port
from tests.support.waiting import wait_until

#: Seconds between two faults while all goes on.
_EVERY = 0.4
#: Seconds for all processes to begin.
_BEGIN = 60.0


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line asked for. Times in seconds."""

    seconds: float = 60.0
    processes: int = 50
    ttl: float = 2.0
    seed: int = 1


def locks(wishes: Wishes, folder: Path, voters: int) -> tuple[Verdict, int]:
    """Contenders for one lock; of several servers one is restarted empty now and then. Verdict and faults."""
    with _servers(folder, voters + 1) as (ledger_server, *deciding), _crew() as crew:
        ledger = Ledger(ledger_server.port)
        urls = [server.url for server in deciding]
        for _ in range(wishes.processes):
            crew.join(members.contender(ledger, wishes.ttl, urls))
        restart = _restarts(deciding, wishes) if voters > 1 else None
        _inflict(crew, ledger, wishes, "enter", _hit_process, restart)
        return judge.of_locks(ledger.since(0), crew.hits, wishes.ttl), len(crew.hits)


def elections(wishes: Wishes, folder: Path) -> tuple[Verdict, int]:
    """Candidates, each behind a proxy that can go silent. Verdict and faults."""
    with _servers(folder, 2) as (ledger_server, deciding), ExitStack() as stack, _crew() as crew:
        ledger = Ledger(ledger_server.port)
        proxies: dict[Body, int] = {}
        for _ in range(wishes.processes):
            port, proxy = _proxy(deciding.port, folder, stack)
            body = members.candidate(ledger, wishes.ttl, [f"redis://127.0.0.1:{port}/0"])
            proxies[body] = proxy
            crew.join(body)
        _inflict(crew, ledger, wishes, "gain", _cut_off_or_hit(proxies), None)
        return judge.of_elections(ledger.since(0), crew.hits, wishes.ttl), len(crew.hits)


Strike = Callable[[Crew, int, random.Random, float], None]


def _inflict(
    crew: Crew,
    ledger: Ledger,
    wishes: Wishes,
    begins: str,
    strike: Strike,
    meanwhile: Callable[[], None] | None,
) -> None:
    """Hit the holder, or anybody; go on when the next one has it, so that every recovery can be measured."""
    draw = random.Random(wishes.seed)
    wait_until(lambda: ledger.length() > 0, "the first one has begun", timeout=_BEGIN)
    deadline = time.monotonic() + wishes.seconds
    while time.monotonic() < deadline:
        _wait(crew, draw.uniform(0.5, 1.5) * _EVERY, meanwhile, lambda: False)
        seen = ledger.length()
        holder = next(
            (e.pid for e in reversed(ledger.since(max(seen - 200, 0))) if e.kind in (begins, "act")), None
        )
        ready = crew.healthy()
        pid = holder if holder in ready and draw.random() < 0.6 else draw.choice(ready)
        strike(crew, pid, draw, wishes.ttl)
        _wait(crew, wishes.ttl + 2 * GRACE, meanwhile, partial(_begun, ledger, seen, begins))
    crew.resume(all_of_them=True)
    time.sleep(wishes.ttl)


def _begun(ledger: Ledger, since: int, begins: str) -> bool:
    return any(event.kind == begins for event in ledger.since(since))


def _wait(crew: Crew, seconds: float, meanwhile: Callable[[], None] | None, over: Callable[[], bool]) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and not over():
        crew.resume()
        if meanwhile is not None:
            meanwhile()
        time.sleep(0.02)


def _hit_process(crew: Crew, pid: int, draw: random.Random, ttl: float) -> None:
    """SIGKILL or SIGSTOP; a stop may end before the ttl does, or after."""
    if draw.random() < 0.4:
        crew.kill(pid)
    else:
        crew.stop(pid, draw.uniform(0.2, 2) * ttl)


def _cut_off_or_hit(proxies: Mapping[Body, int]) -> Strike:
    """Silence the proxy of a process in one fault of three, else hit the process itself."""

    def strike(crew: Crew, pid: int, draw: random.Random, ttl: float) -> None:
        if draw.random() < 1 / 3:
            crew.stop(pid, draw.uniform(0.2, 2) * ttl, proxies[crew.members[pid]])
        else:
            _hit_process(crew, pid, draw, ttl)

    return strike


def _restarts(deciding: Sequence[Server], wishes: Wishes) -> Callable[[], None]:
    """One of the servers in turn comes back empty; the next one only when it has its vote again."""
    turns = itertools.cycle(deciding)
    due = time.monotonic() + 2 * wishes.ttl

    def restart() -> None:
        nonlocal due
        if time.monotonic() >= due:
            server = next(turns)
            server.kill()
            server.start()
            due = time.monotonic() + 2 * wishes.ttl

    return restart


def _proxy(target: int, folder: Path, stack: ExitStack) -> tuple[int, int]:
    """Port and process id of a proxy in front of a server."""
    port = free_port()
    env = {**processes.PLAIN, "PYTHONPATH": str(processes.ROOT)}
    proxy = processes.python(
        "tests.chaos.machines.proxy", [str(port), str(target)], env, folder / "proxy.log"
    )
    stack.callback(processes.kill_group, proxy)
    return port, proxy.pid


@contextmanager
def _servers(folder: Path, count: int) -> Iterator[list[Server]]:
    servers = [Server(folder / f"server-{number}", []) for number in range(count)]
    try:
        for server in servers:
            server.start()
        yield servers
    finally:
        for server in servers:
            server.kill()


@contextmanager
def _crew() -> Iterator[Crew]:
    crew = Crew()
    try:
        yield crew
    finally:
        crew.resume(all_of_them=True)
        crew.dismiss()
