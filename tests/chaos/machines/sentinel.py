"""Two servers, primary and replica by turns, and three sentinels on loopback: the broker of the failovers."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import redis
from redis.sentinel import MasterNotFoundError, Sentinel

from tests.chaos.machines import processes
from tests.chaos.machines.servers import Durability, Server
from tests.support.servers import binary, free_port
from tests.support.waiting import wait_until

#: Name of the primary for sentinels and clients.
MASTER = "chaos"
#: Silence after which a sentinel thinks that the primary is down, in ms.
_DOWN_AFTER_MS = 1500
#: For one failover before another sentinel tries, in ms.
_FAILOVER_MS = 6000
_SENTINELS = 3
#: For everything to know everything, in seconds.
_IN_SYNC = 30.0


class Sentinels:
    """Behaves as a :class:`Server` whose primary can fail over."""

    port = 0  # no links here: clients learn the address of the primary itself
    durability = Durability.NONE

    def __init__(self, folder: Path) -> None:
        self.primary, self.replica = Server(folder, name="a"), Server(folder, name="b")
        self._folder = folder
        self._ports = [free_port() for _ in range(_SENTINELS)]
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def url(self) -> str:
        """The broker URL: all sentinels."""
        return ";".join(f"sentinel://127.0.0.1:{port}/0" for port in self._ports)

    @property
    def transport_options(self) -> Mapping[str, Any]:
        """What kombu must know beside the URL."""
        return {"master_name": MASTER}

    def client(self) -> redis.Redis:
        """A client of whichever server is the primary."""
        found: redis.Redis = self._sentinel().master_for(MASTER, socket_timeout=5)
        return found

    def start(self) -> None:
        """Start everything and wait until the replica is in step and all sentinels know of it."""
        self.primary.start()
        self.replica.start(follows=self.primary)
        self._processes = [self._start_sentinel(port) for port in self._ports]
        wait_until(self.in_sync, f"sentinels and replica are in step, see {self._folder}", _IN_SYNC)

    def fail(self) -> None:
        """SIGKILL the primary."""
        self.primary.kill()

    def repair(self) -> None:
        """Start the killed server again, as the replica of the one that was promoted."""
        self.primary, self.replica = self.replica, self.primary
        self.replica.start(follows=self.primary)

    def has_failed_over(self) -> bool:
        """Whether the replica is the primary now."""
        with suppress(redis.RedisError):
            return bool(self._sentinel().discover_master(MASTER)[1] == self.replica.port) and (
                self.replica.role() == "master"
            )
        return False

    def close(self) -> None:
        """SIGKILL everything."""
        for process in self._processes:
            processes.kill_group(process)
        self.primary.close()
        self.replica.close()

    def _sentinel(self) -> Sentinel:
        return Sentinel([("127.0.0.1", port) for port in self._ports], socket_timeout=1)

    def _start_sentinel(self, port: int) -> subprocess.Popen[bytes]:
        """A sentinel writes its configuration file itself, so each has one of its own."""
        file = self._folder / f"sentinel-{port}.conf"
        file.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {self._folder}\n"
            f"sentinel monitor {MASTER} 127.0.0.1 {self.primary.port} 2\n"
            f"sentinel down-after-milliseconds {MASTER} {_DOWN_AFTER_MS}\n"
            f"sentinel failover-timeout {MASTER} {_FAILOVER_MS}\n"
        )
        log = file.with_suffix(".log")
        return processes.start([binary(), str(file), "--sentinel"], processes.PLAIN, log)

    def in_sync(self) -> bool:
        """Whether the replica is in step and all sentinels know of it: another failover may come."""
        with suppress(redis.RedisError, MasterNotFoundError):
            return all(map(self._knows_all, self._ports)) and self.replica.follows()
        return False

    def _knows_all(self, port: int) -> bool:
        client = redis.Redis(port=port, socket_timeout=1)
        try:
            state: Any = client.sentinel_master(MASTER)
            replicas = client.sentinel_slaves(MASTER)
        finally:
            client.close()
        up = [replica["port"] for replica in replicas if not replica["is_sdown"]]
        known = state["port"] == self.primary.port and up == [self.replica.port]
        return bool(known and state["num-other-sentinels"] == _SENTINELS - 1)
