"""What we use of Celery's tasks beyond its promises, in whatever version is installed."""

from __future__ import annotations

from typing import Any

import pytest
from celery import Celery, current_task
from celery.app.task import Context
from celery.exceptions import Retry
from celery.result import AsyncResult

from switchyard.adapters.celery.task import (
    finished,
    ignores_result,
    retry_uncounted,
    running_app,
)


@pytest.fixture
def app() -> Any:
    """An application that needs no server."""
    app = Celery("shop", broker="memory://", backend="cache+memory://", set_as_current=False)
    yield app
    app.close()


def task_of(app: Celery, **options: Any) -> Any:
    @app.task(name="price", shared=False, bind=True, max_retries=1, **options)
    def price(self: Any) -> str:
        return str(running_app().main)

    return app.tasks["price"]


@pytest.mark.parametrize(
    ("of_task", "of_call", "ignored"),
    [(False, None, False), (True, True, True), (False, True, True), (False, False, False)],
)
def test_a_result_is_ignored_if_the_task_or_the_call_says_so(
    app: Celery, of_task: bool, of_call: bool | None, ignored: bool
) -> None:
    """Broken if callers are told to wait for a task whose result nobody stores."""
    task = task_of(app, ignore_result=of_task)
    asked = {} if of_call is None else {"ignore_result": of_call}
    assert ignores_result(task, Context(asked)) is ignored


def test_a_finished_result_answers_without_its_backend(app: Celery) -> None:
    """Broken if the answer to a cached call is looked up where it may be forgotten."""
    result: AsyncResult[Any] = finished(task_of(app), "an id", [1, 2])
    assert (result.id, result.get(timeout=0), result.state, result.successful()) == (
        "an id",
        [1, 2],
        "SUCCESS",
        True,
    )
    assert result.children == []


def test_a_retry_does_not_count(app: Celery) -> None:
    """Broken if a task that found its lock held often enough fails with MaxRetriesExceededError."""
    task = task_of(app)
    task.push_request(id="an id", retries=1, called_directly=False, is_eager=True, args=(), kwargs={})
    try:
        with pytest.raises(Retry) as retry:
            retry_uncounted(task, OSError("held"), 3)
        assert (task.request.retries, retry.value.sig.options["retries"]) == (1, 1)
        assert retry.value.when == 3
    finally:
        task.pop_request()


def test_the_running_task_says_which_application(app: Celery) -> None:
    """Broken if a lock in a task is decided on another application's broker."""
    other = Celery("other", set_as_current=True)
    assert running_app() is other
    assert not current_task
    assert task_of(app).apply().get() == "shop"
    other.close()
