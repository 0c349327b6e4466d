"""``python -m tests.celery_suite --celery 5.5.3``: runs Celery's own integration tests twice, and compares.

They are in Celery's source distribution (``t/integration``). They run as they are, on a redis-server of their
own, once in plain Celery and once with ``switchyard.install(app)`` on every application that the suite's
fixtures make; about 20 minutes each. What passes plain and not with us is printed; exit code 1 if that is
more than what late acknowledgement changes on purpose, and a race in one test.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import click

from tests.celery_suite.plugin import INSTALL, OUTCOMES
from tests.support import servers

ROOT = Path(__file__).parents[2]
#: Expect that a running task is acknowledged already; ``install`` makes that late.
ON_PURPOSE = frozenset({"test_active", "test_query_task"})
#: Takes back, after the publish, what its signal handler may have said already: who is quick fails it.
A_RACE = frozenset({"test_replaced_task_nesting_level_0"})
#: Seconds that one run may take.
PATIENCE = 3600


@click.command()
@click.option("--celery", "version", default="5.7.0", show_default=True)
@click.option("--write", "page", type=click.Path(path_type=Path), help="write each test's outcomes there")
@click.option("--only", default="", help="pytest's -k: a part of the suite")
def main(version: str, page: Path | None, only: str) -> None:
    """Run Celery's own integration tests in plain Celery and with Switchyard."""
    with tempfile.TemporaryDirectory(prefix="celery-suite-") as folder:
        python = _environment(Path(folder), version)
        source = _source(Path(folder), python, version)
        plain, ours = (_run(Path(folder), python, source, only, install) for install in (False, True))
    lines = [f"{plain.get(t, '-'):8} {ours.get(t, '-'):8} {t}" for t in sorted({*plain, *ours})]
    if page is not None:
        head = f"# Celery {version}, t/integration: outcome in plain Celery, outcome with Switchyard, test"
        page.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
    for name, outcomes in (("plain", plain), ("ours", ours)):
        click.echo(f"{name}: {dict(Counter(outcomes.values()))}")
    differ = [test for test, outcome in plain.items() if outcome == "passed" and ours.get(test) != "passed"]
    click.echo("\n".join(f"passes plain, {ours.get(test, 'not run')} with us: {test}" for test in differ))
    sys.exit(any(test.partition("::")[2].split("::")[-1] not in ON_PURPOSE | A_RACE for test in differ))


def _environment(folder: Path, version: str) -> Path:
    """An interpreter with this Celery, what its tests need, and Switchyard as it is here."""
    pins, needs = (ROOT / "requirements" / f"{name}.txt" for name in (_pair(version), "celery-suite"))
    subprocess.run([sys.executable, "-m", "venv", folder / "env"], check=True)
    python = folder / "env" / "bin" / "python"
    wanted = [f"celery[redis]=={version}", str(ROOT), "-r", str(needs), "-c", str(pins)]
    subprocess.run([python, "-m", "pip", "install", "-q", *wanted], check=True)
    return python


def _pair(version: str) -> str:
    return "compat-" + ".".join(version.split(".")[:2])


def _source(folder: Path, python: Path, version: str) -> Path:
    wanted = ["--no-deps", "--no-binary", ":all:", f"celery=={version}"]
    subprocess.run([python, "-m", "pip", "download", "-q", *wanted, "-d", folder], check=True)
    with tarfile.open(next(folder.glob("celery-*.tar.gz"))) as archive:
        archive.extractall(folder, filter="data")
    return folder / f"celery-{version}"


def _run(folder: Path, python: Path, source: Path, only: str, install: bool) -> Mapping[str, str]:
    """The outcome of each test; of one that ran again, the last."""
    outcomes = folder / f"outcomes.{int(install)}"
    outcomes.touch()
    with servers.running("redis") as server:
        env = {**os.environ, "TEST_BROKER": server.url(0), "TEST_BACKEND": server.url(1)}
        env |= {"REDIS_PORT": str(server.port), OUTCOMES: str(outcomes), INSTALL: str(int(install))}
        env |= {"PYTHONPATH": f"{source}:{Path(__file__).parent}"}
        # Their configuration and their cache are not ours; the plugin is a module of its own there.
        options = ["-p", "no:cacheprovider", "-p", "celery.contrib.pytest", "-p", "plugin"]
        # Python 3.11 cannot parse source at the depth at which one of the tests fails on purpose.
        options += ["-o", "addopts=", "-q", "--tb=native"]
        command = [str(python), "-m", "pytest", "t/integration", *options, *(["-k", only] if only else [])]
        subprocess.run(command, cwd=source, env=env, timeout=PATIENCE, check=False)
    pairs = (line.split(" ", 1) for line in outcomes.read_text(encoding="utf-8").splitlines())
    return {test: outcome for outcome, test in pairs}


if __name__ == "__main__":
    main()
