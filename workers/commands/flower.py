"""``flower``: the dashboard."""

from __future__ import annotations

import atexit
import signal
import sys
from contextlib import suppress

import click

from workers.commands.target import app_option, load_app, one_line_errors


@click.command()
@app_option(required=True)
@click.option("--port", type=int, default=5555)
@click.option("--address", default="127.0.0.1")
@click.option("--read-only", is_flag=True)
def flower(app: str, port: int, address: str, read_only: bool) -> None:
    """Flower with the cluster in it."""
    from flower.urls import settings  # noqa: PLC0415 - an extra
    from tornado.options import options  # noqa: PLC0415 - an extra

    from scheduler.flower.dashboard import Dashboard  # noqa: PLC0415 - an extra

    with one_line_errors():
        capp = load_app(app)
    options.port, options.address, options.read_only = port, address, read_only
    dashboard = Dashboard(capp, options, **settings)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    atexit.register(dashboard.stop)
    click.echo(f"http://{address}:{dashboard.start_http_server()}/")
    with suppress(KeyboardInterrupt, SystemExit):
        dashboard.start()
