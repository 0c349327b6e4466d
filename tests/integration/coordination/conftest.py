"""Who decides on a lock depends on the application of this process: each test begins without one."""

from __future__ import annotations

import pytest
from celery import _state
from switchyard import current_app


@pytest.fixture(autouse=True)
def no_application_of_another_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what other tests left: an application that uses Switchyard, or is Celery's current one."""
    monkeypatch.setattr(current_app, "_apps", [])
    monkeypatch.setattr(_state._tls, "current_app", None)
    monkeypatch.setattr(_state, "default_app", None)
