"""``switchyard cache``: the servers of cached results, how warm nodes are, and forgetting all of it."""

from __future__ import annotations

import json
from functools import partial

from click.testing import CliRunner, Result

import switchyard
from switchyard.cached_tasks.results import open_cache
from switchyard.settings import Settings
from switchyard_workers.cli import main
from tests.support.cluster import Cluster
from tests.support.commands import run
from tests.support.nodes import APP, environment
from tests.support.servers import Server, free_port


def said_by(*arguments: str, **env: str) -> Result:
    """What a command says, run in this process."""
    return CliRunner().invoke(main, ["cache", *arguments], env=env)


def test_stats_has_servers_and_nodes(clean_valkey: Server) -> None:
    """Nobody could see whether the cache answers, or whether it is worth its memory."""
    cluster = Cluster.on(clean_valkey)
    cluster.join("n1")
    load = json.dumps({"cache": {"near_hits": 3, "near_misses": 1, "near_entries": 7, "found": 1}})
    cluster.state.client.hset(cluster.state.keys.node("n1"), "load", load)
    said = run("cache", "stats", "-A", APP, "--json", env=environment(clean_valkey))
    assert (said.returncode, said.stderr) == (0, "")
    stats = json.loads(said.stdout)
    (server,) = stats["servers"]
    assert server["standing"] == "up"
    assert server["memory"] > 0
    (node,) = stats["nodes"]
    assert (node["name"], node["near_hit_rate"], node["hit_rate"], node["near_entries"]) == ("n1", 0.75, 1, 7)
    shown = said_by("stats", "--broker", clean_valkey.url()).stdout
    assert all(text in shown for text in ("weight", "n1", "75.0%", "joined"))


def test_nodes_shows_cache_hits_where_there_are_caches(clean_valkey: Server) -> None:
    """Nobody could see in the list of nodes which of them has what is asked for."""
    cluster = Cluster.on(clean_valkey)
    cluster.join("n1")
    shown = partial(CliRunner().invoke, main, ["nodes", "--broker", clean_valkey.url()])
    assert "cache hits" not in shown().stdout
    load = json.dumps({"cache": {"near_hits": 3, "near_misses": 5, "found": 2}})
    cluster.state.client.hset(cluster.state.keys.node("n1"), "load", load)
    assert "cache hits" in shown().stdout
    assert "62.5%" in shown().stdout


#: A cache of an application's own, and one that is none.
own = switchyard.Cache(["redis://127.0.0.1:7001", "redis://127.0.0.1:7002"], namespace="own")
near = switchyard.NearCache(own)
other = 7


def test_a_cache_of_ones_own_is_looked_at_by_its_name(clean_valkey: Server) -> None:
    """Whoever uses Cache in a program could not ask where a key of it is."""
    at = ("--broker", clean_valkey.url())
    for name in ("own", "near"):
        said = said_by("ring", "x", "--json", "--cache", f"{__name__}:{name}", *at)
        assert json.loads(said.stdout)["servers"] == own.owners("x")
    for name, hint in {
        "other": "is a int, not a switchyard.Cache",
        "absent": "cannot load the cache",
    }.items():
        said = said_by("ring", "x", "--cache", f"{__name__}:{name}", *at)
        assert said.exit_code == 1
        assert hint in said.stderr


def test_ring_names_the_owners_as_the_cache_does(clean_valkey: Server) -> None:
    """An operator would look for a key on the wrong servers."""
    urls = tuple(f"redis://127.0.0.1:{port}/0" for port in (7001, 7002, 7003))
    env = {"SWITCHYARD_CACHE_SERVERS": json.dumps(urls)}
    at = ("--broker", clean_valkey.url())
    cache = open_cache(Settings(cache_servers=urls), "")
    for key in ("price:a:EUR", "price:b:EUR"):
        said = said_by("ring", key, "--json", *at, **env)
        assert json.loads(said.stdout) == {"key": key, "servers": cache.owners(key)}
    assert len(said_by("ring", "x", *at, **env).stdout.split()) == 2
    cache.close()


def test_clear_forgets_everything(clean_valkey: Server) -> None:
    """After a change of the prices' source every single key would have to be invalidated."""
    cache = open_cache(Settings(), clean_valkey.url())
    try:
        cache.set("price:a:EUR", ["id", "1"])
        assert cache.get("price:a:EUR") == ["id", "1"]
        said = said_by("clear", "--broker", clean_valkey.url(), "--json")
        assert (said.exit_code, json.loads(said.stdout)) == (0, {"cleared": True})
        assert cache.get("price:a:EUR") is None
    finally:
        cache.close()


def test_clear_without_a_server_says_so() -> None:
    """An operator would believe that old results are gone."""
    done = said_by("clear", "--broker", f"redis://127.0.0.1:{free_port()}/0")
    assert done.exit_code == 1
    assert "Old values may still be served" in done.stderr


def test_a_broker_that_can_hold_no_results_is_a_line() -> None:
    """A Sentinel user would get a traceback instead of the setting to make."""
    done = said_by("ring", "x", "--broker", "sentinel://127.0.0.1:26379/0")
    assert done.exit_code == 1
    (line,) = done.stderr.splitlines()
    assert "set cache_servers to URLs" in line
