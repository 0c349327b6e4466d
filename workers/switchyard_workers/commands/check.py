"""``check``: says what is wrong with broker, configuration and cluster, each with its mend."""

from __future__ import annotations

from dataclasses import asdict

import click
from rich.text import Text

from switchyard_workers.commands.display import console, write_json
from switchyard_workers.commands.findings import Finding, Level, findings
from switchyard_workers.commands.target import Target, on_cluster

_STYLES = {Level.OK: "green", Level.INFO: "yellow", Level.PROBLEM: "bold red"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="A JSON list instead of lines.")
@on_cluster
def check(target: Target, as_json: bool) -> None:
    """Look for what is wrong with broker, configuration and cluster. Exit code 1 if anything is."""
    found = list(findings(target))
    if as_json:
        write_json([asdict(finding) for finding in found])
    else:
        out = console()
        for finding in found:
            out.print(_line(finding), soft_wrap=True)
    if any(finding.level is Level.PROBLEM for finding in found):
        raise click.exceptions.Exit(1)


def _line(finding: Finding) -> Text:
    mend = f"\n{'':8}-> {finding.mend}" if finding.mend else ""
    level = (f"{finding.level:<8}", _STYLES[finding.level])
    return Text.assemble(level, (f"{finding.check}: ", "bold"), finding.finding, mend)
