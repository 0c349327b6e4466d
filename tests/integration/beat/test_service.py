"""A process that stands for election, and what it does when the storage was lost."""

from __future__ import annotations

import threading

import switchyard
from switchyard.beat.service import Beat
from switchyard.settings import Settings
from switchyard.transport.opening import open_state
from tests.support.app import make_app
from tests.support.beat import noop
from tests.support.servers import Server
from tests.support.waiting import wait_until


def test_a_storage_that_came_back_empty_gets_the_schedule_again(clean_valkey: Server) -> None:
    """A broker without persistence that restarts would end all periodic tasks until beat is restarted."""
    app = make_app(clean_valkey.url(), switchyard.Settings(refresh=60))
    app.conf.beat_schedule = {"one": noop(0.5)}
    app.set_current()
    beat = Beat(app, open_state(app, Settings()), ttl=1.0)
    beat.install()
    runs = threading.Thread(target=beat.run)
    runs.start()
    try:
        client = clean_valkey.client()
        wait_until(lambda: client.llen("celery") > 0, "it sends")
        client.flushall()
        wait_until(lambda: client.llen("celery") > 0, "it sends again")
    finally:
        beat.stop()
        runs.join(20)
        app.close()
