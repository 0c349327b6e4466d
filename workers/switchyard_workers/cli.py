"""The command line: ``switchyard``, also ``python -m switchyard_workers.cli``."""

from __future__ import annotations

import click

from switchyard import __version__
from switchyard_workers.commands.beat import beat
from switchyard_workers.commands.cache import cache
from switchyard_workers.commands.check import check
from switchyard_workers.commands.dead import dead
from switchyard_workers.commands.drain import drain, resume
from switchyard_workers.commands.flower import flower
from switchyard_workers.commands.nodes import nodes
from switchyard_workers.commands.queues import queues
from switchyard_workers.commands.worker import worker


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
