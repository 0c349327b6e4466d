"""``switchyard.cached`` where it is written: what it refuses, and what it leaves alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from celery import Celery, Task

import switchyard
from switchyard.errors import ConfigurationError
from tests.support.servers import free_port


@pytest.fixture
def app() -> Any:
    """An application without any server behind it."""
    nowhere = f"redis://127.0.0.1:{free_port()}/0"
    app = Celery("shop", broker=nowhere, backend=nowhere, set_as_current=False)
    switchyard.install(app)
    yield app
    app.close()


def plain() -> Any:
    def price(sku: str, currency: str = "EUR") -> str:
        return f"{sku} {currency}"

    return price


def cached(function: Any = None) -> Any:
    return switchyard.cached(key="{sku}:{currency}")(function or plain())


def test_the_order_of_decorators_matters(app: Celery) -> None:
    """A task that is not cached at all would look as if it were."""
    with pytest.raises(ConfigurationError, match="put it under @app"):
        cached(app.task(plain(), shared=False))


@pytest.mark.parametrize("ttl", [0, -1, 8 * 86_400, "5", None, True, timedelta(days=8)])
def test_a_ttl_that_cannot_work_is_refused(ttl: Any) -> None:
    """It would fail at the first result."""
    with pytest.raises(ConfigurationError, match="cached ttl="):
        switchyard.cached(key="{sku}", ttl=ttl)


def test_ignored_results_cannot_be_cached(app: Celery) -> None:
    """Callers that share an execution would wait for a result that is never stored."""
    task = app.task(cached(), shared=False, ignore_result=True)
    with pytest.raises(ConfigurationError, match="drop ignore_result"):
        task.name  # noqa: B018 - Celery makes the task when it is first looked at


def test_results_must_be_readable_by_all(app: Celery) -> None:
    """A caller that shares another's execution would wait for a reply that goes to the other."""
    app.conf.result_backend = "rpc://"
    with pytest.raises(ConfigurationError, match="every process can read, which RPCBackend"):
        app.task(cached(), shared=False).delay("a")


def test_a_direct_or_eager_call_needs_no_server(app: Celery) -> None:
    """Users' unit tests would suddenly want a server."""
    task = app.task(cached(), shared=False)
    assert task("a") == "a EUR"
    app.conf.task_always_eager = True
    assert task.delay("a", currency="USD").get() == "a USD"


def test_wrong_arguments_are_a_type_error_as_always(app: Celery) -> None:
    """A typo in a call would look like a fault of the cache."""
    with pytest.raises(TypeError):
        app.task(cached(), shared=False).delay("a", colour="red")


def test_any_base_class_and_the_users_annotations_go_with_it(app: Celery) -> None:
    """A task with its own base class would silently not be cached, or annotations be lost."""

    class Mine(Task):
        """Not made from the application's own base."""

    app.conf.task_annotations = {"*": {"rate_limit": "1/s"}, "shop.price": {"priority": 3}}
    task = app.task(cached(), shared=False, base=Mine, bind=False, name="shop.price")
    assert task.cached.key(("a",), {}) == "shop.price:a:EUR"
    assert (task.rate_limit, task.priority, isinstance(task._get_current_object(), Mine)) == ("1/s", 3, True)


def test_other_tasks_are_not_touched(app: Celery) -> None:
    """Every call of every task would pay for the cached ones."""
    task = app.task(plain(), shared=False)
    assert type(task._get_current_object()).apply_async is app.Task.apply_async
    assert not hasattr(task, "cached")


def test_installing_too_late_is_an_error() -> None:
    """The tasks that were made before would silently not be cached."""
    app = Celery("late", set_as_current=False)
    app.task(cached(), shared=False, name="late.price")
    app.finalize()
    with pytest.raises(ConfigurationError, match="came after cached task"):
        switchyard.install(app)


def test_a_bound_task_has_no_self_in_its_key(app: Celery) -> None:
    """Calls of bound tasks would be counted one argument short."""

    def bound(self: Any, sku: str, currency: str = "EUR") -> None: ...

    task = app.task(cached(bound), shared=False, bind=True, name="bound")
    assert task.cached.key(("a", "USD"), {}) == "bound:a:USD"


def test_a_typed_project_gets_at_what_is_cached(app: Celery) -> None:
    """Broken if type checkers make users write casts, or a task that is not cached is told so in no words."""
    task = app.task(cached(), shared=False, name="shop.price")
    assert switchyard.cached_calls(task) is task.cached
    with pytest.raises(ConfigurationError, match=r"'shop.other' is no cached task; put @switchyard.cached"):
        switchyard.cached_calls(app.task(plain(), shared=False, name="shop.other"))
