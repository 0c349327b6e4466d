"""The command line as operators and programs use it: real processes on real servers."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from switchyard.cluster.keys import Keys
from switchyard.cluster.state import State
from switchyard.errors import ServerTooOld
from switchyard.models import Selector
from switchyard.transport.opening import require_supported
from switchyard_workers.cli import main

from tests.support.cluster import Cluster
from tests.support.nodes import APP, ROOT, environment
from tests.support.servers import Server, free_port, kinds, redis_server
from tests.support.waiting import wait_until

GPU = Selector(labels=(("gpu", "h100"),))
SHOP = """
from celery import Celery
import switchyard
app = Celery("shop", broker={url!r})
switchyard.install(app)
app.conf.update({conf!r})
"""


def run(
    *arguments: str,
    program: str = "switchyard_workers.cli",
    cwd: Path = ROOT,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """One command, to its end."""
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore", **(env or {})}
    command = [sys.executable, "-m", program, *arguments]
    return subprocess.run(
        command, cwd=cwd, env=variables, capture_output=True, text=True, timeout=60, check=False
    )


def read(*arguments: str, code: int = 0, env: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """What a command with --json says."""
    done = run(*arguments, "--json", env=env)
    assert (done.returncode, done.stderr) == (code, "")
    listed: list[dict[str, Any]] = json.loads(done.stdout)
    return listed


def message(age: float, server: Server) -> str:
    """A message as kombu writes it, that many seconds old by the server's clock."""
    published = Cluster.on(server).state.now_ms() / 1000 - age
    return json.dumps({"body": "", "properties": {"timestamp": published}})


def one_line(done: subprocess.CompletedProcess[str], code: int = 1) -> str:
    """The only line of a refusal."""
    assert (done.returncode, done.stdout) == (code, ""), done
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: ")
    return line


# -- nodes -------------------------------------------------------------------------------------------------


def test_nodes_json_is_a_list_of_every_node(server: Server) -> None:
    """Programs that watch the cluster would break, or miss a node that is lost or drained."""
    cluster = Cluster.on(server)
    for name in ("a", "b", "c"):
        cluster.join(name, limit=2)
    cluster.place("one", "a")
    cluster.claim("a")
    cluster.place("two", "a")
    cluster.state.drain("b")
    cluster.expire("c")
    nodes = {node["name"]: node for node in read("nodes", "--broker", server.url())}
    assert {name: node["state"] for name, node in nodes.items()} == {"a": "up", "b": "draining", "c": "lost"}
    a = nodes["a"]
    assert (a["slots"], a["limit"], a["outstanding"], a["inbox"], a["claims"]) == (2, 2, 2, 1, 1)
    assert (a["queues"], a["labels"], a["load"]["active"]) == (["q"], {}, 0)
    assert 0 <= a["lease_age"] < 60
    assert {"hostname", "pid", "versions"} <= set(a)


def test_nodes_of_an_empty_cluster_is_an_empty_list(clean_valkey: Server) -> None:
    """A program would have to tell "no nodes" from "no JSON"."""
    assert read("nodes", "--broker", clean_valkey.url()) == []


@pytest.mark.parametrize("program", ["switchyard_workers.cli", "celery"])
def test_nodes_shows_a_table(clean_valkey: Server, program: str) -> None:
    """An operator would see nothing, or nothing with ``celery -A proj nodes``."""
    cluster = Cluster.on(clean_valkey)
    cluster.join("worker-with-a-long-name", limit=4)
    cluster.place("one", "worker-with-a-long-name")
    arguments = ("-A", APP, "nodes") if program == "celery" else ("nodes", "-A", APP)
    done = run(*arguments, program=program, env=environment(clean_valkey))
    assert done.returncode == 0, done.stderr
    assert all(text in done.stdout for text in ("worker-with-a-long-name", "up", "1/4", "1 of 1 up"))


def test_labels_are_shown_as_they_are(clean_valkey: Server) -> None:
    """A label that looks like markup would vanish from the table, or break it."""
    cluster = Cluster.on(clean_valkey)
    cluster.join("n1")
    cluster.state.client.hset(cluster.state.keys.node("n1"), "labels", json.dumps({"[red]": "[/]"}))
    assert "[red]=[/]" in run("nodes", "--broker", clean_valkey.url()).stdout


@pytest.mark.skipif("redis" not in kinds(), reason="needs a server that can be stopped and started again")
def test_watch_goes_on_through_an_outage(tmp_path: Path) -> None:
    """The one window that an operator has open would close at the moment when it is needed."""
    port, seen = free_port(), tmp_path / "seen"
    with redis_server(port, ()) as server:
        Cluster.on(server).join("before")
        watch = _watching(server, seen)
    try:
        wait_until(lambda: "does not answer" in seen.read_text(), "the outage is shown")
        with redis_server(port, ()) as server:
            Cluster.on(server).join("after")
            wait_until(lambda: "after" in seen.read_text(), "the nodes are shown again")
            watch.send_signal(signal.SIGINT)
            assert watch.wait(20) == 0
    finally:
        watch.kill()
        watch.wait()
    assert "Traceback" not in seen.read_text()


def _watching(server: Server, seen: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "switchyard_workers.cli", "nodes", "--watch", "--broker", server.url()]
    with seen.open("wb") as out:
        watch = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out, env=environment(server))
    wait_until(lambda: "before" in seen.read_text(), "the nodes are shown")
    return watch


# -- queues ------------------------------------------------------------------------------------------------


def test_queues_json_counts_tasks_wherever_they_are(server: Server) -> None:
    """A backlog would look smaller than it is, or a task that nobody may run would not be noticed."""
    cluster = Cluster.on(server)
    cluster.join("n1", limit=2)
    cluster.place(message(10, server), "n1")
    cluster.claim("n1")
    cluster.place(message(20, server), "n1")
    cluster.place(message(1, server), "n1")
    cluster.place("no message of kombu's", selector=GPU)
    server.client().lpush("q\x06\x163", message(500, server), message(5, server))
    (queue,) = read("queues", "--broker", server.url())
    assert (queue["name"], queue["waiting"], queue["placed"], queue["claimed"]) == ("q", 4, 1, 1)
    assert 500 <= queue["oldest_age"] < 560
    assert queue["stranded"] == {"gpu=h100": 1}


def test_the_oldest_task_may_be_one_that_a_node_holds(clean_valkey: Server) -> None:
    """A task that hangs on a node would not raise the age of its queue."""
    cluster = Cluster.on(clean_valkey)
    cluster.join("n1", limit=2)
    cluster.place(message(300, clean_valkey), "n1")
    cluster.claim("n1")
    (queue,) = read("queues", "--broker", clean_valkey.url())
    assert 300 <= queue["oldest_age"] < 360


def test_a_queue_without_tasks_has_no_age(clean_valkey: Server) -> None:
    """A queue that is served and empty would be missing, or seem to have an old task."""
    Cluster.on(clean_valkey).join("n1")
    empty = {"name": "q", "waiting": 0, "placed": 0, "claimed": 0, "oldest_age": None, "stranded": {}}
    assert read("queues", "--broker", clean_valkey.url()) == [empty]
    assert " q " in run("queues", "--broker", clean_valkey.url()).stdout


# -- drain and resume --------------------------------------------------------------------------------------


def test_drain_gives_the_inbox_back_and_resume_undoes_it(server: Server) -> None:
    """A node could not be taken out of service before its machine is, or not put back."""
    cluster = Cluster.on(server)
    cluster.join("n1", limit=3)
    cluster.place("one", "n1")
    cluster.place("two", "n1")
    done = run("drain", "n1", "--broker", server.url())
    assert (done.returncode, "2 tasks given back" in done.stdout) == (0, True), done
    assert cluster.shared() == ["one", "two"]
    assert cluster.place("three", "n1", bounded=False) is None
    done = run("-A", APP, "resume", "n1", program="celery", env=environment(server))
    assert done.returncode == 0, done.stderr
    assert cluster.place("four", "n1", bounded=False) == "n1"


@pytest.mark.parametrize("command", ["drain", "resume"])
def test_a_mistyped_node_is_refused_with_the_nearest_name(clean_valkey: Server, command: str) -> None:
    """An operator would believe that a node was drained while it goes on."""
    Cluster.on(clean_valkey).join("gpu-1")
    line = one_line(run(command, "gpu1", "--broker", clean_valkey.url()))
    assert "'gpu1'" in line
    assert "did you mean 'gpu-1'?" in line


# -- check -------------------------------------------------------------------------------------------------


def problems(findings: list[dict[str, Any]]) -> list[str]:
    """What was found wrong; every problem must come with a mend."""
    found = [finding for finding in findings if finding["level"] == "problem"]
    assert all(finding["mend"] for finding in found)
    return [finding["finding"] for finding in found]


def test_check_of_a_sound_cluster_finds_nothing(server: Server) -> None:
    """Nobody would heed a check that cries wolf."""
    Cluster.on(server).join("n1")
    findings = read("check", "-A", APP, env=environment(server))
    assert problems(findings) == []
    assert {"configuration", "application", "broker", "eviction", "nodes", "queues", "dead"} <= {
        finding["check"] for finding in findings
    }
    done = run("check", "--broker", server.url())
    assert done.returncode == 0
    assert "up: n1" in done.stdout


def test_check_finds_lost_nodes_and_tasks_that_nobody_will_run(server: Server) -> None:
    """A cluster that stands still would be called sound."""
    cluster = Cluster.on(server)
    cluster.join("gone")
    cluster.join("drained")
    cluster.place("one", selector=GPU)
    cluster.place("two")
    cluster.expire("gone")
    cluster.state.drain("drained")
    server.client().zadd(cluster.state.keys.dead, {"7": 1})
    findings = read("check", "--broker", server.url(), code=1)
    lost, unserved, stranded, dead = problems(findings)
    assert "gone is lost" in lost
    assert "1 tasks wait on queue 'q'" in unserved
    assert "gpu=h100" in stranded
    assert "1 tasks were given up" in dead
    assert any("drained is draining" in f["finding"] and "resume drained" in f["mend"] for f in findings)


def test_check_finds_a_server_that_may_throw_tasks_away(server: Server) -> None:
    """The first full memory would lose tasks without a word."""
    client = server.client()
    before = str(client.config_get("maxmemory-policy")["maxmemory-policy"])
    client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        (problem,) = problems(read("check", "--broker", server.url(), code=1))
    finally:
        client.config_set("maxmemory-policy", before)
    assert "allkeys-lru" in problem


def test_what_a_managed_server_refuses_to_say_is_no_problem(server: Server) -> None:
    """The check would fail for ever where INFO or CONFIG is not allowed."""
    with _limited_user(server) as url:
        findings = read("check", "--broker", url)
    unread = [
        f["check"] for f in findings if "could not be read" in f["finding"] or "does not say" in f["finding"]
    ]
    assert unread == ["broker", "eviction", "persistence"]


@contextmanager
def _limited_user(server: Server) -> Iterator[str]:
    client = server.client()
    client.execute_command(
        "ACL", "SETUSER", "limited", "on", ">pw", "~*", "&*", "+@all", "-@admin", "-info", "-config"
    )
    try:
        yield server.url().replace("//", "//limited:pw@")
    finally:
        client.execute_command("ACL", "DELUSER", "limited")


def test_check_finds_settings_of_celery_that_lose_tasks(clean_valkey: Server, tmp_path: Path) -> None:
    """An application that switched late acknowledgement off would lose tasks with every dead node."""
    conf = {"task_acks_late": False, "task_reject_on_worker_lost": False, "worker_prefetch_multiplier": 0}
    (tmp_path / "shop.py").write_text(SHOP.format(url=clean_valkey.url(), conf=conf))
    done = run("check", "-A", "shop", "--json", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    found = problems(json.loads(done.stdout))
    assert [finding.split()[0] for finding in found] == list(conf)


def test_check_finds_a_cache_server_that_is_away(clean_valkey: Server) -> None:
    """Cached tasks would be computed again and again, and nobody would know why."""
    urls = [clean_valkey.url(), f"redis://127.0.0.1:{free_port()}/0"]
    env = {"SWITCHYARD_CACHE_SERVERS": json.dumps(urls)}
    (problem,) = problems(read("check", "--broker", clean_valkey.url(), env=env, code=1))
    assert problem.startswith("cache server 127.0.0.1:")
    env = {"SWITCHYARD_CACHE_SERVERS": json.dumps([*urls, "redis+cluster://a"])}
    (problem,) = problems(read("check", "--broker", clean_valkey.url(), env=env, code=1))
    assert "stands alone" in problem
    env = {"SWITCHYARD_CACHE_SERVERS": json.dumps(urls[:1])}
    found = {finding["check"]: finding for finding in read("check", "--broker", clean_valkey.url(), env=env)}
    assert found["cache"]["finding"] == "1 of 1 cache servers answer"


def test_check_keeps_what_to_paste_in_one_piece(tmp_path: Path) -> None:
    """A new user would paste half of the two lines that install Switchyard."""
    (tmp_path / "plain.py").write_text("from celery import Celery\napp = Celery('plain', broker='redis://')")
    done = run("check", "-A", "plain", "--json", cwd=tmp_path)
    (finding,) = json.loads(done.stdout)
    assert finding["mend"] == "add 'import switchyard; switchyard.install(app)' where it is made"


def test_check_says_what_is_wrong_when_nothing_answers() -> None:
    """The check would fail itself just where it is asked for help."""
    (problem,) = problems(read("check", "--broker", f"redis://127.0.0.1:{free_port()}/0", code=1))
    assert "no answer from the broker" in problem


# -- wrong input -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("amqp://localhost", "needs Redis or Valkey"),
        ("foo://localhost", "No such transport"),
        ("redis://localhost:port", "'redis://localhost:port'"),
        ("redis://127.0.0.1:1/0", "no answer from the broker"),
    ],
)
def test_a_broker_that_cannot_be_used_is_one_line(url: str, says: str) -> None:
    """An operator would get a traceback for a typing error."""
    assert says in one_line(run("nodes", env={"SWITCHYARD_BROKER_URL": url}))


def test_a_password_is_not_shown_when_the_url_cannot_be_read() -> None:
    """A password with a slash in it would end in the log of whatever ran the command."""
    line = one_line(run("nodes", "--broker", "redis://:s3cr/et@localhost:6379/0"))
    assert "s3cr" not in line
    assert "percent-encode" in line


def test_a_server_that_accepts_and_says_nothing_is_given_up_on() -> None:
    """A command in a script would hang for ever on a server that hangs."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        assert "no answer from the broker" in one_line(run("nodes", "--broker", url))


@pytest.mark.parametrize(
    ("app", "says"),
    [
        ("nosuch.module", "current directory holds it"),
        ("imports", "imports.py line 2"),
        ("spelt", "spelt.py line 1"),
        ("shop", "celery.py line 1"),
        ("json:loads", "not a Celery application"),
        ("broken", "broken.py line 1"),
        ("plain", "switchyard.install(app)"),
        ("misconfigured", "did you mean 'lease'?"),
    ],
)
def test_an_application_that_cannot_be_used_is_one_line(tmp_path: Path, app: str, says: str) -> None:
    """An operator would read Celery's traceback instead of what to do."""
    (tmp_path / "broken.py").write_text("1 / 0")
    (tmp_path / "spelt.py").write_text("def (")
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").touch()
    (tmp_path / "shop" / "celery.py").write_text("import absent_dependency")
    (tmp_path / "imports.py").write_text("import json\nimport absent_dependency")
    (tmp_path / "plain.py").write_text("from celery import Celery\napp = Celery('plain', broker='redis://')")
    (tmp_path / "wrong.toml").write_text("leas = 4")
    (tmp_path / "misconfigured.py").write_text(
        "from celery import Celery\nimport switchyard\n"
        "app = Celery('m', broker='redis://')\nswitchyard.install(app, config='wrong.toml')"
    )
    assert says in one_line(run("nodes", "-A", app, cwd=tmp_path))


def test_broken_settings_are_one_line(tmp_path: Path) -> None:
    """A typing error in the settings would show as a traceback, or not at all."""
    (tmp_path / "bad.toml").write_text("lease = [")
    done = run(
        "queues", "--broker", "redis://localhost", env={"SWITCHYARD_CONFIG": str(tmp_path / "bad.toml")}
    )
    assert "bad.toml is not valid TOML" in one_line(done)


@pytest.mark.parametrize(
    "arguments",
    [
        ("nodes",),
        ("nodes", "--frobnicate"),
        ("nodes", "--json", "--watch", "--broker", "redis://localhost"),
        ("queues", "-A", "a", "--broker", "redis://localhost"),
        ("drain", "--broker", "redis://localhost"),
        ("worker",),
        ("worker", "-A", "a", "--node", "no spaces"),
        ("worker", "-A", "a", "--slots", "0"),
        ("worker", "-A", "a", "--label", "novalue"),
        ("fly",),
    ],
)
def test_wrong_use_is_exit_code_two(arguments: tuple[str, ...]) -> None:
    """A script could not tell a wrong command line from a finding."""
    done = CliRunner().invoke(main, arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].startswith("Error: ")


class _Says:
    """A server's word on itself."""

    def __init__(self, **info: str) -> None:
        self._info = info

    def info(self, _section: str) -> Mapping[str, str]:
        return self._info


@pytest.mark.parametrize(
    "info", [{"redis_version": "6.0.16"}, {"redis_version": "7.2.4", "valkey_version": "7.1.0"}]
)
def test_a_server_that_is_too_old_is_refused(info: dict[str, str]) -> None:
    """Scripts would fail in the middle of work on commands that the server does not know."""
    with pytest.raises(ServerTooOld, match="or later; upgrade the server"):
        require_supported(State(_Says(**info), Keys()))  # type: ignore[arg-type]
