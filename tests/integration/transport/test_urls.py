"""Every kind of broker URL that we promise reaches a real server: TLS and Unix socket, beside plain TCP."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing

import pytest

import switchyard
from switchyard.errors import BrokerUnreachable
from switchyard.settings import Settings
from switchyard.transport.opening import open_state, open_state_beside
from tests.support import servers
from tests.support.app import make_app

pytestmark = pytest.mark.skipif(
    not (shutil.which("redis-server") and shutil.which("openssl")),
    reason="the embedded server has no TLS; CI installs redis-server and openssl",
)


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A server that listens with TLS and on a Unix socket."""
    folder = tmp_path_factory.mktemp("tls")
    make = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    make += f" -keyout {folder}/key -out {folder}/crt"
    subprocess.run(make.split(), check=True, capture_output=True, timeout=60)
    tls = servers.free_port()
    options = ["--tls-port", str(tls), "--tls-cert-file", f"{folder}/crt", "--tls-key-file", f"{folder}/key"]
    options += ["--tls-auth-clients", "no", "--unixsocket", f"{folder}/redis.sock"]
    with servers.redis_server(servers.free_port(), options):
        yield {
            "rediss": f"rediss://127.0.0.1:{tls}/0?ssl_cert_reqs=none",
            "redis+socket": f"redis+socket://{folder}/redis.sock?virtual_host=0",
        }


@pytest.mark.parametrize("kind", ["rediss", "redis+socket"])
def test_placing_and_looking_work(urls: dict[str, str], kind: str) -> None:
    """Producers would publish unplaced, or nodes not join, behind TLS or a Unix socket."""
    app = make_app("redis://127.0.0.1:1/0", Settings(refresh=60))
    app.conf.broker_url = urls[kind]
    state = open_state(app, Settings())
    fields: dict[str, str | int] = {"slots": 2, "limit": 2, "queues": json.dumps(["celery"]), "lease": 60_000}
    state.register(kind, "i1", 60_000, ["celery"], fields)
    app.tasks["noop"].apply_async(placement={"node": kind})
    assert {node.name: node.inbox for node in state.snapshot()}[kind] == 1
    app.close()


@pytest.mark.parametrize("kind", ["rediss", "redis+socket"])
def test_the_state_beside_a_connection_is_on_its_server(urls: dict[str, str], kind: str) -> None:
    """Broken if a node can't keep its lease where its consumer consumes, behind TLS or a Unix socket."""
    app = make_app("redis://127.0.0.1:1/0")
    app.conf.broker_url = f"{urls[kind]};redis://127.0.0.1:1/0"
    with app.connection() as connection:
        connection.connect()
        state = open_state_beside(connection, Settings())
        state.client.set("mine", kind)
        assert connection.default_channel.client.get("mine") == kind.encode()
        assert state.client.connection_pool.connection_kwargs["socket_timeout"] == Settings().lease
    app.close()


def test_a_certificate_that_cannot_be_checked_is_refused(urls: dict[str, str]) -> None:
    """Asking for verification would mean nothing."""
    app = make_app("redis://127.0.0.1:1/0", switchyard.Settings())
    app.conf.broker_url = urls["rediss"].replace("none", "required")
    with pytest.raises(BrokerUnreachable, match="certificate"):
        open_state(app, Settings(lease=2.0))


@pytest.mark.parametrize("kind", ["rediss", "unix"])
def test_a_cache_is_reached_as_well(urls: dict[str, str], kind: str) -> None:
    """The cache reads and writes its sockets itself: behind TLS or on a Unix socket all would be misses."""
    unix = urls["redis+socket"].replace("redis+socket", "unix").replace("virtual_host", "db")
    large = ["x" * 1000] * 200  # more than one read of a connection takes
    with closing(switchyard.Cache([urls.get(kind, unix)], deadline=5.0, namespace=kind)) as cache:
        assert cache.set("key", large)
        assert cache.get("key") == large
        assert cache.get_many(["key", "none"]) == {"key": large}
        assert cache.figures.errors == 0
