"""A user's test suite that knows nothing of Switchyard: it passes before and after ``install``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SHOP = """
import os
from celery import Celery, Task, chain, chord, group

app = Celery("shop", broker="memory://", backend="cache+memory://")
app.conf.task_routes = {"shop.urgent": {"queue": "urgent"}}
if os.environ["SHOP_INSTALL"] == "1":
    import switchyard
    switchyard.install(app)

class Counting(Task):
    ran = 0
    def before_start(self, task_id, args, kwargs):
        type(self).ran += 1

@app.task(base=Counting)
def add(x, y):
    return x + y

@app.task
def total(numbers):
    return sum(numbers)

@app.task
def urgent():
    return "at once"

@app.task(bind=True, max_retries=3, default_retry_delay=0)
def flaky(self, failures):
    if self.request.retries < failures:
        raise self.retry(countdown=0)
    return self.request.retries

@app.task(serializer="pickle")
def kind_of(thing):
    return type(thing).__name__

@app.task
def fails():
    raise KeyError("as asked")
"""

TESTS = """
import pytest
from celery import chain, chord, group
from shop import add, fails, flaky, kind_of, total, urgent

def test_a_task():
    before = add.ran
    assert add.delay(2, 3).get(timeout=10) == 5
    assert add.ran == before + 1

def test_workflows():
    assert chain(add.s(1, 2), add.s(3)).apply_async().get(timeout=10) == 6
    assert group(add.s(n, n) for n in range(3)).apply_async().get(timeout=10) == [0, 2, 4]
    assert chord([add.s(n, n) for n in range(3)], total.s()).apply_async().get(timeout=10) == 6

def test_a_retry():
    assert flaky.delay(2).get(timeout=10) == 2

def test_a_route():
    assert urgent.apply_async().get(timeout=10) == "at once"

def test_a_failure():
    with pytest.raises(KeyError):
        fails.delay().get(timeout=10)

def test_another_serializer():
    assert kind_of.delay({1, 2}).get(timeout=10) == "set"
"""

EAGER = """
import pytest
from shop import app

@pytest.fixture(autouse=True, scope="session")
def eager():
    app.conf.task_always_eager = True
"""

THREAD = """
import pytest

pytest_plugins = ["celery.contrib.pytest"]

@pytest.fixture(scope="session")
def celery_session_app():
    import celery.contrib.testing.tasks
    from shop import app
    app.conf.accept_content = ["json", "pickle"]
    return app

@pytest.fixture(scope="session")
def celery_worker_parameters():
    return {"queues": ["celery", "urgent"]}

@pytest.fixture(autouse=True)
def a_worker(celery_session_worker):
    pass
"""


@pytest.mark.parametrize("install", ["0", "1"], ids=["plain", "installed"])
@pytest.mark.parametrize("conftest", [EAGER, THREAD], ids=["eager", "memory"])
def test_a_suite_passes_unchanged(tmp_path: Path, conftest: str, install: str) -> None:
    """Broken if who installs Switchyard has to change tests that have nothing to do with it."""
    for name, text in {"shop.py": SHOP, "conftest.py": conftest, "test_shop.py": TESTS}.items():
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(tmp_path), "SHOP_INSTALL": install},
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 passed" in done.stdout
