"""What belongs to another library alone is used in ``switchyard/adapters/`` and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.adapters.private_names import Code, Module

ROOT = Path(__file__).parents[3]
#: What is on the path, and what is looked at there.
FOLDERS = ((ROOT / "scheduler", "."), (ROOT / "workers", "."), (ROOT, "tasks"), (ROOT, "benchmarks"))
MODULES = {
    path.relative_to(ROOT).as_posix(): Module.at(path, root)
    for root, folder in (
        (ROOT / "scheduler", "."),
        (ROOT / "workers", "."),
        (ROOT, "tasks"),
        (ROOT, "benchmarks"),
    )
    for path in sorted((root / folder).rglob("*.py"))
}
CODE = Code(list(MODULES.values()))
ADAPTERS = "scheduler/switchyard/adapters/"


@pytest.mark.parametrize("path", [path for path in MODULES if not path.startswith(ADAPTERS)])
def test_only_adapters_use_what_others_keep_private(path: str) -> None:
    """Broken if the next release of Celery or another library breaks a room that nobody looks into for it."""
    assert [str(use) for use in CODE.uses(MODULES[path])] == []


def test_all_modules_are_looked_at() -> None:
    """Broken if the folders moved, so that the test above looks at nothing and passes."""
    assert {path.partition("/")[0] for path in MODULES} == {"scheduler", "workers", "tasks", "benchmarks"}
    assert any(CODE.uses(module) for path, module in MODULES.items() if path.startswith(ADAPTERS))


def uses(source: str, *others: Module) -> list[str]:
    """What is found in a module of ours with this text."""
    module = Module("switchyard.room", source)
    return [use.what for use in Code([module, *others]).uses(module)]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("channel._put(1)", "channel._put"),
        ("message._raw = 1", "message._raw"),
        ("del app.pool._stamp", "app.pool._stamp"),
        ("import tornado.web as web\nweb._unquote", "web._unquote"),
        ("getattr(channel, '_put', None)", "channel._put"),
        ("setattr(channel, '_put', 1)", "channel._put"),
        ("vars(channel)['_put']", "channel._put"),
        ("channel.__dict__['_put']", "channel._put"),
        ("from operator import attrgetter\nattrgetter('_put')", "'_put'._put"),
        ("from celery._state import get_current_app", "import of celery._state.get_current_app"),
        ("from celery.app import base as b, _private", "import of celery.app._private"),
        ("import celery._state", "import of celery._state"),
        ("from kombu import Queue\nclass Q(Queue):\n    def f(self): return self._bound", "self._bound"),
        ("from kombu import Queue\nclass Q(Queue):\n    def f(self): super()._get()", "super()._get"),
        (
            "from kombu.transport.virtual import Channel\nclass C(Channel):\n    def _put(self, queue): pass",
            "C has _put, which is Channel's",
        ),
        (
            "import kombu.transport.virtual as v\nclass C(v.Channel):\n    _size = None",
            "C has _size, which is Channel's",
        ),
        (
            "from kombu.transport.virtual import Channel\n"
            "class A(Channel): pass\nclass B(A):\n    def f(self): self._cycle = 1\n    def _put(self): pass",
            "B has _put, which is Channel's",
        ),
    ],
)
def test_what_belongs_to_others_is_found(source: str, found: str) -> None:
    """Broken if one way to reach into another library is not seen."""
    assert uses(source) == [found]


BASE = Module("switchyard.base", "class Base:\n    def __init__(self): self._mine = 1\n    def _f(self): ...")


@pytest.mark.parametrize(
    "source",
    [
        "class A:\n    def f(self): self._x = 1\n    def g(self, other): return other._x == self._x",
        "class A:\n    _x: int\n    def f(self): return self._x",
        "class A:\n    def _f(self): ...\n    def g(self): self._f()",
        "_CACHE = {}\ndef _f(): return _CACHE",
        "from switchyard.base import Base\nclass A(Base):\n    def f(self): return self._mine, super()._f()",
        "from switchyard import base\nclass A(base.Base):\n    def f(self): return self._mine",
        "from kombu import Queue\nclass Q(Queue):\n    def f(self): self._of_ours = 1",
        "import os\nos._exit(1)",
        "x.__dict__, x.__class__.__name__",
        "for _ in x: pass",
    ],
)
def test_what_is_ours_is_left_alone(source: str) -> None:
    """Broken if the test above must be given a list of exceptions to be of use."""
    assert uses(source, BASE) == []


def test_a_name_of_another_room_is_not_ours() -> None:
    """Broken if rooms reach into each other, as they must not into other libraries."""
    assert uses("from switchyard.base import Base\nBase()._mine", BASE) == ["Base()._mine"]
