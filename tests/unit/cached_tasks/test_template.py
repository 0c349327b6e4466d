"""Keys of cached tasks: from a template and arguments."""

from __future__ import annotations

import inspect
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kombu.utils.json import dumps, loads

from switchyard.cached_tasks.template import parse
from switchyard.errors import ConfigurationError


class Colour(str, Enum):  # noqa: UP042 - a StrEnum is its value already
    """Sent as ``red``, but its own text is ``Colour.RED``."""

    RED = "red"


def price(sku: Any, currency: Any = "EUR", *more: Any, **options: Any) -> None:
    """What the templates are for."""


def key(template: str, **values: Any) -> str:
    return parse(template, inspect.signature(price), "price").key(values, "price")


@given(st.tuples(st.text(), st.text()), st.tuples(st.text(), st.text()))
def test_different_arguments_never_share_a_key(one: tuple[str, str], other: tuple[str, str]) -> None:
    """One customer would get another's result."""
    keys = [key("{sku}:{currency}", sku=sku, currency=currency) for sku, currency in (one, other)]
    assert (keys[0] == keys[1]) == (one == other)


@pytest.mark.parametrize(
    "value", ["ä:/{}", Colour.RED, 1, 1.5, True, None, Decimal("1.50"), UUID(int=7), date(2026, 1, 2)]
)
def test_caller_and_node_make_the_same_key(value: Any) -> None:
    """What a caller asks for would never be what a node has kept."""
    assert key("{sku}", sku=value) == key("{sku}", sku=loads(dumps(value)))


@pytest.mark.parametrize("value", [[1], (1, 2), {"a": 1}, object()])
def test_other_values_are_refused(value: Any) -> None:
    """A list and the tuple that it was sent as would be two keys."""
    with pytest.raises(ConfigurationError, match=r"price is made of sku, which is a .*; pass a text"):
        key("{sku}", sku=value)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{sk}", "asks for 'sk'; did you mean 'sku'"),
        ("{weight}", "its arguments are sku, currency"),
        ("{options}", "its arguments are sku, currency"),
        ("{sku:>10}", "write {sku} alone"),
        ("{sku!r}", "write {sku} alone"),
        ("{sku.name}", r"asks for 'sku.name'"),
        ("{}", "asks for ''"),
        ("{sku", "mend its braces"),
    ],
)
def test_a_template_that_cannot_work_is_an_error_at_once(template: str, message: str) -> None:
    """The mistake would be found at the first call, or never."""
    with pytest.raises(ConfigurationError, match=message):
        parse(template, inspect.signature(price), "price")


def test_invalidating_names_exactly_the_fields() -> None:
    """A misspelt field would invalidate a key that nobody uses."""
    template = parse("{sku}:{currency}", inspect.signature(price), "price")
    assert template.key_of_fields({"sku": "a", "currency": "EUR"}, "price") == "a:EUR"
    with pytest.raises(ConfigurationError, match="made of sku, currency, but given were sku; name exactly"):
        template.key_of_fields({"sku": "a"}, "price")
