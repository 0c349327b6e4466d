"""The table, as Markdown, and what it was measured on."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks.figures import Figure, Spread, Target
from benchmarks.sides import Side

_HEADER = (
    "measure",
    "unit",
    "stock: median (min to max)",
    "ours: median (min to max)",
    "ours / stock",
    "target",
    "",
)
_PACKAGES = ("celery-switchyard", "celery", "kombu", "redis", "hiredis")


def table(figures: Sequence[Figure]) -> str:
    """One row for each figure."""
    rows = [_HEADER, tuple("---" for _ in _HEADER), *(_row(figure) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    lines = (" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(f"| {line} |" for line in lines)


def machine(server: str) -> str:
    """Processor, load, and versions of what takes part."""
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    return (
        f"{os.cpu_count()} cores, {_cpu_model()}, {platform.system()} {platform.release()}, load {load}\n"
        f"Python {platform.python_version()}, {packages}, {server}"
    )


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or "unknown processor"


def _row(figure: Figure) -> tuple[str, ...]:
    comparison = figure.comparison()
    mark = "" if figure.target in (Target(), Target(minus=True)) else "met" if figure.met() else "MISSED"
    sides = (_spread(figure.side(side)) for side in (Side.STOCK, Side.OURS))
    return (figure.name, figure.unit, *sides, _comparison(comparison, figure), _bound(figure), mark)


def _spread(spread: Spread) -> str:
    return f"{_number(spread.median)} ({_number(spread.low)} to {_number(spread.high)})"


def _comparison(spread: Spread, figure: Figure) -> str:
    if figure.target.minus:
        return f"{spread.median:+.1f} {figure.unit} ({spread.low:+.1f} to {spread.high:+.1f})"
    return f"**{spread.median:.2f}x** ({spread.low:.2f} to {spread.high:.2f})"


def _bound(figure: Figure) -> str:
    target = figure.target
    unit = f" {figure.unit} more" if target.minus else "x"
    if target.at_least is not None:
        return f"at least {target.at_least:g}{unit}"
    return f"at most {target.at_most:g}{unit}" if target.at_most is not None else ""


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"
