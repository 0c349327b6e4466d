"""Dashboards for tests: one in this process for its answers, one as a process of its own."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from celery import Celery

from tests.support.nodes import APP, ROOT, environment
from tests.support.servers import Server, free_port
from tests.support.waiting import wait_until


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


@dataclass(frozen=True, slots=True)
class Site:
    """A dashboard that answers on a loopback port; ``application`` is None if it is another process."""

    port: int
    application: Any = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, **headers: str) -> Answer:
        """GET; underscores in the headers' names stand for hyphens."""
        return self.send("GET", path, **headers)

    def post(self, path: str, **headers: str) -> Answer:
        """POST with no body."""
        return self.send("POST", path, **headers)

    def send(self, method: str, path: str, **headers: str) -> Answer:
        """One request."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, headers=named)
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()


def basic(credentials: str) -> str:
    """The value of an Authorization header."""
    return "Basic " + base64.b64encode(credentials.encode()).decode()


@contextmanager
def dashboard(
    app: Celery, *, open_metrics: bool = False, insecure: bool = False, **options: Any
) -> Iterator[Site]:
    """A dashboard in a thread of this process; Flower's own threads, which have no end, are not started."""
    from flower.options import options as flowers
    from flower.urls import settings
    from tornado.httpserver import HTTPServer
    from tornado.ioloop import IOLoop
    from tornado.testing import bind_unused_port

    from switchyard.flower.dashboard import Dashboard

    chosen = SimpleNamespace(**{**flowers.as_dict(), "address": "127.0.0.1", **options})
    prefix = {"login_url": f"/{chosen.url_prefix}/login"} if chosen.url_prefix else {}
    switches = {"open_metrics": open_metrics, "insecure": insecure}
    started: Future[tuple[Site, Callable[[], object]]] = Future()

    async def serve() -> None:
        stopped, loop = asyncio.Event(), asyncio.get_running_loop()
        try:
            site = Dashboard(app, chosen, io_loop=IOLoop.current(), **switches, **{**settings, **prefix})
            socket, port = bind_unused_port()
            server = HTTPServer(site)
            server.add_socket(socket)
        except BaseException as exc:
            started.set_exception(exc)
            raise
        site.watch()
        started.set_result((Site(port, site), lambda: loop.call_soon_threadsafe(stopped.set)))
        await stopped.wait()
        site.unwatch()
        server.stop()
        await server.close_all_connections()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    site, stop = started.result(30)
    try:
        wait_until(lambda: site.application.sampler.snapshot.at, "the first look")
        yield site
    finally:
        stop()
        thread.join(10)


@contextmanager
def hold_redis(server: Server, site: Site) -> Iterator[None]:
    """Stop the server's process, as a network that goes dark does; entered once the dashboard has noticed."""
    pid = int(server.client().info("server")["process_id"])
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: site.get("/api/cluster").json["look"]["error"], "the dashboard notices")
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def dashboard_process(server: Server, log: Path, *options: str, **env: str) -> Iterator[Site]:
    """``switchyard flower`` as a process, until the block ends."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "switchyard_workers.cli",
        "flower",
        "-A",
        APP,
        "--port",
        str(port),
        *options,
    ]
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, env=environment(server) | env, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT
        )
    try:
        site = Site(port)
        wait_until(lambda: _answers(process, site, log), f"the dashboard answers; see {log}", timeout=60)
        yield site
    finally:
        process.terminate()
        try:
            process.wait(20)
        finally:
            process.kill()
            process.wait(10)


def _answers(process: subprocess.Popen[bytes], site: Site, log: Path) -> bool:
    if process.poll() is not None:
        raise AssertionError(f"the dashboard ended with {process.returncode}:\n{log.read_text()}")
    try:
        return site.get("/login").status < 500
    except OSError:
        return False
