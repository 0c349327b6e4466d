"""What we rely on of RedBeat: its fields, its JSON, its keys, and the lock that we do not want."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from celery import Celery
from celery.schedules import crontab, solar
from redbeat import RedBeatSchedulerEntry

from switchyard.adapters.redbeat import store

LAST = datetime(2026, 1, 2, 3, 4, 5, 678, UTC)


@pytest.fixture
def app() -> Celery:
    made = Celery("t", set_as_current=False)
    made.conf.update(
        redbeat_redis_url="redis://nowhere", redbeat_redis_options={}, redbeat_key_prefix="mine:"
    )
    return made


def test_keys_are_redbeats(app: Celery) -> None:
    """Broken if entries that redbeat's own programs wrote are not found."""
    layout = store.layout_of(app)
    assert (layout.prefix, layout.schedule, layout.statics) == ("mine:", "mine::schedule", "mine::statics")
    entry = RedBeatSchedulerEntry("one", "noop", crontab(app=app), app=app)
    assert entry.key == layout.prefix + "one"


def test_redbeat_reads_what_we_write(app: Celery) -> None:
    """Broken if an older program that adds or changes entries fails on ours."""
    fields = {"task": "noop", "schedule": crontab(minute="5"), "args": (1,), "options": {"queue": "a"}}
    stored = RedBeatSchedulerEntry.decode_definition(store.definition_of(store.made_of(app, "one", fields)))
    assert (stored["name"], stored["task"], stored["args"]) == ("one", "noop", [1])
    assert (stored["options"], stored["enabled"]) == ({"queue": "a"}, True)
    assert str(stored["schedule"]) == str(fields["schedule"])
    meta = RedBeatSchedulerEntry.decode_meta(store.meta_of(LAST, 7))
    assert meta == {"last_run_at": LAST, "total_run_count": 7}


def test_what_was_written_is_read(app: Celery) -> None:
    """Broken if an entry loses its task, its schedule or its last run in the storage."""
    fields = {"task": "noop", "schedule": solar("sunset", 52.5, 13.4), "kwargs": {"n": 1}}
    entry = store.entry_of(app, store.definition_of(store.made_of(app, "one", fields)))
    assert (entry.name, entry.task, entry.kwargs, entry.enabled) == ("one", "noop", {"n": 1}, True)
    assert entry.schedule == fields["schedule"]
    assert store.last_run_of(store.meta_of(LAST, 7)) == (LAST, 7)
    assert store.last_run_of("") == (None, 0)
    assert store.last_run_of('{"last_run_at": null}') == (None, 0)


def test_what_cannot_be_read_is_an_error_of_a_known_kind(app: Celery) -> None:
    """Broken if one bad entry ends the leader."""
    for text in ("{", "[]", "{}", json.dumps({"name": "one", "task": "noop", "schedule": 1, "strange": 1})):
        with pytest.raises((AttributeError, KeyError, TypeError, ValueError)):
            str(store.entry_of(app, text).schedule.tz)


#: In an interpreter of its own: other tests of this process may have left the lock already.
_LEAVE_THE_LOCK = """
from celery.signals import beat_init
from redbeat.schedulers import acquire_distributed_beat_lock
from switchyard.adapters.redbeat import store

def listens():
    return acquire_distributed_beat_lock in [receiver() for _, receiver in beat_init.receivers]

assert listens(), "RedBeat takes no lock by itself any more"
store.leave_the_lock()
assert not listens(), "RedBeat still takes its lock"
"""


def test_redbeats_lock_is_left_alone() -> None:
    """Broken if beat waits for a lock of RedBeat's, for up to half an hour, before it stands for election."""
    done = subprocess.run(
        [sys.executable, "-c", _LEAVE_THE_LOCK], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
