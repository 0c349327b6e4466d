"""``check``: finds what is wrong, and says how to mend it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from switchyard.models import Selector
from tests.support.cluster import Cluster
from tests.support.commands import read, run
from tests.support.nodes import APP, environment
from tests.support.servers import Server, free_port

GPU = Selector(labels=(("gpu", "h100"),))
SHOP = """
from celery import Celery
import switchyard
app = Celery("shop", broker={url!r})
switchyard.install(app)
app.conf.update({conf!r})
"""


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
    assert f"answers at 127.0.0.1:{server.port}/0" in done.stdout.replace("localhost", "127.0.0.1")


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


def test_check_says_that_a_scheduler_of_others_has_no_standby(server: Server, tmp_path: Path) -> None:
    """Broken if entries made in Django's admin are never sent, and nothing says why."""
    conf = {"beat_scheduler": "django_celery_beat.schedulers:DatabaseScheduler"}
    (tmp_path / "shop.py").write_text(SHOP.format(url=server.url(), conf=conf))
    found = json.loads(run("check", "-A", "shop", "--json", cwd=tmp_path).stdout)
    assert any("django_celery_beat.schedulers.DatabaseScheduler" in finding["finding"] for finding in found)


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
