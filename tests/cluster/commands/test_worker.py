"""``switchyard worker`` is a Celery worker with a name, and says in one line why it is none."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from celery.utils.nodenames import default_nodename, gethostname

from tests.support.app import make_app
from tests.support.nodes import APP, ROOT, environment, is_up, node_of, worker
from tests.support.servers import Server, free_port
from tests.support.waiting import wait_until

NOBODY = Server("none", free_port())
PINNED = """
from celery import Celery
import switchyard
app = Celery("pinned", broker={url!r})
chosen = switchyard.Settings()
switchyard.install(app, chosen.model_copy(update={{"node": "pinned"}}))
"""


def start(server: Server, *arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """A worker that is expected to end by itself."""
    command = [sys.executable, "-m", "switchyard_workers.cli", "worker", *arguments]
    return subprocess.run(
        command, cwd=cwd, env=environment(server), capture_output=True, text=True, timeout=90, check=False
    )


def test_a_node_is_what_the_command_line_says(server: Server, tmp_path: Path) -> None:
    """Rules and placements would name nodes and labels that do not exist."""
    options = ("--label", "gpu=h100", "--label", "rack=a=b")
    with worker(server, tmp_path, "n1", slots=3, queues="celery,reports", options=options) as running:
        node = node_of(server, "n1")
        assert node is not None
        assert (node.slots, node.limit, node.labels) == (3, 3, {"gpu": "h100", "rack": "a=b"})
        wait_until(lambda: _queues(server) == {"celery", "reports"}, "the node says which queues it serves")
        assert running.terminate() == 0
    assert not is_up(server, "n1")


def _queues(server: Server) -> frozenset[str]:
    node = node_of(server, "n1")
    return node.queues if node is not None else frozenset()


def test_labels_of_the_environment_and_the_command_line_add_up(clean_valkey: Server, tmp_path: Path) -> None:
    """A machine's own labels would be forgotten as soon as one more is given by hand."""
    env = {"SWITCHYARD_LABELS": '{"zone": "eu", "gpu": "none"}'}
    with worker(clean_valkey, tmp_path, "n1", options=("--label", "gpu=h100"), env=env):
        node = node_of(clean_valkey, "n1")
        assert node is not None
        assert node.labels == {"zone": "eu", "gpu": "h100"}


def test_gevent_is_patched_early_enough(clean_valkey: Server, tmp_path: Path) -> None:
    """With ``-P gevent`` every task would block all others on the node."""
    app = make_app(clean_valkey.url())
    with worker(clean_valkey, tmp_path, "n1", slots=4, pool="gevent") as running:
        results = [app.send_task("nap", (3,)) for _ in range(4)]
        wait_until(lambda: _active(clean_valkey) == 4, f"four tasks sleep at once: {running.text()}")
        assert [result.get(timeout=30) for result in results] == [3, 3, 3, 3]
    app.close()


def _active(server: Server) -> int:
    node = node_of(server, "n1")
    return node.load.active if node is not None else 0


def test_a_name_in_use_ends_the_second_worker(clean_valkey: Server, tmp_path: Path) -> None:
    """Two workers would share one lease, and each would take the other's tasks for its own."""
    with worker(clean_valkey, tmp_path, "n1"):
        second = start(clean_valkey, "-A", APP, "--node", "n1", "--", "-P", "threads")
        assert second.returncode != 0
        (line,) = [line for line in second.stderr.splitlines() if "in use" in line]
        assert "'n1'" in line
        assert "Traceback" not in second.stderr
        assert is_up(clean_valkey, "n1")


def test_an_unreachable_server_ends_the_worker_at_once() -> None:
    """A supervisor would see a worker that runs, while it only ever tries to connect."""
    done = start(NOBODY, "-A", APP, "--node", "n1")
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: no answer from the broker")


def test_an_application_without_install_is_refused(clean_valkey: Server, tmp_path: Path) -> None:
    """A plain worker would start, and nobody would notice that it is no node."""
    (tmp_path / "plain.py").write_text(
        f"from celery import Celery\napp = Celery(broker={clean_valkey.url()!r})"
    )
    done = start(clean_valkey, "-A", "plain", "--node", "n1", cwd=tmp_path)
    assert done.returncode == 1
    assert "switchyard.install(app)" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_options_of_celery_before_the_dashes_are_told_where_to_go() -> None:
    """Who knows celery worker would be told that -P does not exist."""
    done = start(NOBODY, "-A", APP, "-P", "threads")
    assert done.returncode == 2
    assert "No such option '-P'. Options of celery worker follow --" in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("option", "pool", "mend"),
    [
        (("-P", "gevent"), "gevent", "pip install 'celery-switchyard[gevent]'"),
        (("--pool=eventlet",), "eventlet", "pip install eventlet"),
    ],
)
def test_a_pool_that_is_not_installed_is_one_line(option: tuple[str, ...], pool: str, mend: str) -> None:
    """A missing extra would be a page of Celery's traceback."""
    code = f"import sys; sys.modules[{pool!r}] = None; from switchyard_workers.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "worker", "-A", APP, "--", *option],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert mend in line


def test_a_name_that_the_application_overrides_is_refused(clean_valkey: Server, tmp_path: Path) -> None:
    """``--node`` would be ignored without a word."""
    (tmp_path / "pinned.py").write_text(PINNED.format(url=clean_valkey.url()))
    done = start(clean_valkey, "-A", "pinned", "--node", "n1", cwd=tmp_path)
    assert done.returncode == 1
    assert "'pinned'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@contextmanager
def plain_command(server: Server, log: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """``celery -A APP worker``, as an unchanged Procfile has it."""
    command = [sys.executable, "-m", "celery", "-A", APP, "worker", "-P", "threads", "-c", "1", *options]
    variables = environment(server, SWITCHYARD_LEASE="2", SWITCHYARD_RENEW="0.4")
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, "-l", "INFO", "--without-mingle", "--without-gossip"],
            cwd=ROOT, env=variables, stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


def test_two_workers_without_a_name_both_run_on_one_machine(clean_valkey: Server, tmp_path: Path) -> None:
    """The second worker of an unchanged Procfile would exit, which plain Celery's does not."""
    default = default_nodename(None)
    with (
        plain_command(clean_valkey, tmp_path / "1.log"),
        plain_command(clean_valkey, tmp_path / "2.log") as second,
    ):
        for name in (default, f"{default}-2"):
            wait_until(partial(is_up, clean_valkey, name), f"{name} is up", timeout=60)
        assert second.poll() is None
        app = make_app(clean_valkey.url())
        naps = [
            app.send_task("where", (0.3,), placement={"node": name}) for name in (default, f"{default}-2")
        ]
        assert len([nap.get(timeout=30) for nap in naps]) == 2
        app.close()


def test_a_chosen_name_that_is_taken_is_refused_with_its_own_option(
    clean_valkey: Server, tmp_path: Path
) -> None:
    """Whoever runs celery worker would be told to use an option that it does not have."""
    with plain_command(clean_valkey, tmp_path / "1.log", "-n", "w1@%h"):
        name = f"w1@{gethostname()}"
        wait_until(partial(is_up, clean_valkey, name), f"{name} is up", timeout=60)
        with plain_command(clean_valkey, tmp_path / "2.log", "-n", "w1@%h") as second:
            assert second.wait(60) == 1
        assert "choose another -n, or stop that worker" in (tmp_path / "2.log").read_text()
