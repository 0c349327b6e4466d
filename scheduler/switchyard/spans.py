"""Spans of time as users give them: seconds, or a timedelta."""

from __future__ import annotations

from datetime import timedelta
from numbers import Real
from typing import TypeAlias

from switchyard.errors import ConfigurationError

Span: TypeAlias = float | timedelta


def seconds(span: Span, name: str) -> float:
    """A span that is not negative, in seconds. Raises ConfigurationError, in which it is called ``name``."""
    value = span.total_seconds() if isinstance(span, timedelta) else span
    mend = "give seconds as a number, or a timedelta"
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ConfigurationError(f"{name}={span!r} is no span of time; {mend}")
    if not value >= 0:
        raise ConfigurationError(f"{name}={span!r} is not above zero; {mend}")
    return float(value)
