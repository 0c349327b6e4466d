"""The command line: ``switchyard``, also ``python -m workers.cli``."""

from __future__ import annotations

import click

from scheduler import __version__
from workers.commands.beat import beat
from workers.commands.cache import cache
from workers.commands.check import check
from workers.commands.dead import dead
from workers.commands.drain import drain, resume
from workers.commands.flower import flower
from workers.commands.nodes import nodes
from workers.commands.queues import queues
from workers.commands.worker import worker


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="switchyard")
def main() -> None:
    """Load-aware, loss-free scheduling for Celery on Redis or Valkey.

    Exit codes: 0 done, 1 a finding or a refusal, 2 wrong use.
    """


for command in (worker, beat, nodes, queues, drain, resume, dead, cache, flower, check):
    main.add_command(command)


if __name__ == "__main__":
    main(prog_name="switchyard")
