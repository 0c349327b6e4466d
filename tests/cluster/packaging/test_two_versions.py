"""A node of this version and one of an older commit serve one queue, while either of them is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from switchyard.cluster.state import State
from tests.cluster.packaging.conftest import Environment, build_wheel, environment_of
from tests.support.nodes import ROOT, is_up, state_of
from tests.support.servers import Server
from tests.support.waiting import wait_until

#: "Tests: folders mirror the rooms", the last commit whose nodes write no layout number and know none.
#: When the layout changes, name the last commit of the one before, or what the release notes promise.
OLDER = "9c9657b90063c0313bcd4241e3edb7b6e940a300"
#: Tasks that each version's producer sends, and seconds that each of them takes.
TASKS, SECONDS = 150, 0.03
#: Seconds without a heartbeat after which a node is lost: short, so that its tasks are soon run by the other.
LEASE = 2.0

SHOP = f"""
import os, sys, time
import redis, switchyard
from celery import Celery

app = Celery("shop", broker=os.environ["SHOP_BROKER"])
app.conf.update(task_ignore_result=True)
switchyard.install(app)
ledger = redis.Redis.from_url(os.environ["SHOP_LEDGER"])

@app.task(bind=True)
def sell(self, number):
    time.sleep({SECONDS})
    ledger.rpush("sold", f"{{self.request.hostname.partition('@')[0]}} {{number}}")

if __name__ == "__main__":
    for number in range({TASKS}):
        sell.delay(f"{{sys.argv[1]}}{{number}}")
"""


def source_of(commit: str, folder: Path) -> Path:
    """The files of a commit of this repository. Fails, and never skips, where the commit is not to be had."""
    archive = folder / "source.tar"
    git = ["git", "-C", str(ROOT), "archive", "--output", str(archive), commit]
    done = subprocess.run(git, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        pytest.fail(
            f"commit {commit[:7]} can't be read: {done.stderr.strip()}; "
            "this test needs the repository with its whole history: git fetch --unshallow"
        )
    with tarfile.open(archive) as files:
        files.extractall(folder / "source", filter="data")
    return folder / "source"


@pytest.fixture(scope="session")
def older(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with the wheel of the older commit."""
    source = source_of(OLDER, tmp_path_factory.mktemp("older"))
    return environment_of(
        build_wheel(source, tmp_path_factory.mktemp("wheel")), tmp_path_factory.mktemp("older")
    )


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with an application that both versions can run."""
    (tmp_path / "shop.py").write_text(SHOP)
    return tmp_path


def surroundings(server: Server) -> dict[str, str]:
    """A user's environment variables: nothing in them leads to this source tree."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "SHOP_BROKER": server.url(),
        "SHOP_LEDGER": server.url(1),
        "SWITCHYARD_LEASE": str(LEASE),
        "SWITCHYARD_RENEW": str(LEASE / 5),
        "C_FORCE_ROOT": "1",
    }


@contextmanager
def node(
    version: str, environment: Environment, shop: Path, server: Server
) -> Iterator[subprocess.Popen[bytes]]:
    """A node named for its version, until the block ends."""
    command = [environment.command("switchyard"), "worker", "-A", "shop", "--node", version, "--slots", "4"]
    log = shop / f"{version}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, "--", "-l", "INFO", "-P", "threads"], cwd=shop, env=surroundings(server),
            stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip
    try:
        wait_until(lambda: process.poll() is not None or is_up(server, version), "the node is up", timeout=40)
        assert process.poll() is None, log.read_text()
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def sold(server: Server) -> list[tuple[str, str]]:
    """Which node ran which task, in order."""
    with server.client(1) as client:
        lines = [line.decode().split() for line in client.lrange("sold", 0, -1)]
    return [(version, number) for version, number in lines]


def is_empty(state: State) -> bool:
    """Whether no task is anywhere, settled ones apart."""
    waiting = state.client.llen("celery") + sum(state.client.llen(key) for key in state.wait_lists())
    return not waiting and not sum(one.outstanding for one in state.snapshot()) and not state.dead_count()


def test_a_clone_without_the_history_says_so(tmp_path: Path) -> None:
    """Broken if the proof of two versions passed, or was skipped, where there is only one."""
    with pytest.raises(pytest.fail.Exception, match="git fetch --unshallow"):
        source_of("0" * 40, tmp_path)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("killed", ["older", "this"])
def test_two_versions_serve_one_queue_and_nothing_is_lost(
    older: Environment, environment: Environment, shop: Path, clean_valkey: Server, killed: str
) -> None:
    """Broken if a rolling upgrade loses tasks: one version can't place for or reap the other."""
    versions = {"older": older, "this": environment}
    with ExitStack() as stack:
        nodes = {
            version: stack.enter_context(node(version, made, shop, clean_valkey))
            for version, made in versions.items()
        }
        producers = [
            subprocess.Popen(
                [made.command("python"), "shop.py", version], cwd=shop, env=surroundings(clean_valkey)
            )
            for version, made in versions.items()
        ]
        wait_until(lambda: len(sold(clean_valkey)) > TASKS / 2, "some tasks are done", timeout=60)
        os.killpg(nodes[killed].pid, signal.SIGKILL)
        before = {version for version, _ in sold(clean_valkey)}
        assert [producer.wait(60) for producer in producers] == [0, 0]
        state = state_of(clean_valkey)
        wait_until(
            lambda: len({number for _, number in sold(clean_valkey)}) == 2 * TASKS, "all ran", timeout=60
        )
        wait_until(lambda: is_empty(state), "every task is settled", timeout=30)
        assert before == {"older", "this"}, "one of the versions did nothing"
        assert any(event.kind == "lost" and event.node == killed for event in state.events())
        assert (state.counters().given_up, state.layout()) == (0, "1")
