"""The scenarios that tell a story each, as commands; ``stories`` tells all of them, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from tests.chaos import commands
from tests.chaos.evidence import report
from tests.chaos.scenarios import clock, countdowns, deploy, poison, reaping, rolling, two_brokers
from tests.chaos.scenarios.story import Story

Tell = Callable[[Path], Story]

NODES = click.option("--nodes", type=click.IntRange(2), default=3, show_default=True)


def _all(nodes: int, slots: int, lease: float, count: int | None) -> dict[str, Tell]:
    """Each story with what it is told with; ``count`` replaces the usual number of whatever it counts."""
    bed, say = (nodes, slots, lease), commands.say
    return {
        "clock": lambda place: clock.run(clock.wishes(*bed), place, say),
        "countdowns": lambda place: countdowns.run(countdowns.wishes(*bed), count or 10_000, place, say),
        "deploy": lambda place: deploy.run(deploy.wishes(*bed), count or 200, place, say),
        "poison": lambda place: poison.run(poison.wishes(nodes + 1, slots, lease), place, say),
        "reaping": lambda place: reaping.run(reaping.wishes(*bed), count or 200_000, place, say),
        "rolling": lambda place: rolling.run(rolling.wishes(*bed), count or 5, place, say),
        "two-brokers": lambda place: two_brokers.run(two_brokers.wishes(*bed), place, say),
    }


NAMES = tuple(_all(3, 2, 2.0, None))


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(NAMES))
@click.option("--count", type=click.IntRange(1), help="Of countdowns, new tasks, claims or rolling restarts.")
@NODES
@commands.SLOTS
@commands.LEASE
@commands.FOLDER
def stories(
    names: tuple[str, ...], count: int | None, nodes: int, slots: int, lease: float, folder: Path | None
) -> None:
    """Tell these stories, or all of them."""
    told, top = _all(nodes, slots, lease, count), commands.folder_of(folder)
    results = {name: _tell(told[name], name, top / name) for name in names or NAMES}
    report.show_stories(results)
    commands.end({"switchyard": [failure for story in results.values() for failure in story.failures()]})


def _tell(tell: Tell, name: str, place: Path) -> Story:
    commands.say(f"--- {name}; logs in {place}")
    return tell(place)
