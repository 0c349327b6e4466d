"""The page on cached tasks: its example does what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.support.nodes import ROOT, is_up
from tests.support.servers import Server
from tests.support.waiting import wait_until

PAGE = ROOT / "docs" / "cache-tasks.md"


def test_the_example_runs(clean_valkey: Server, tmp_path: Path) -> None:
    """The first thing that a reader tries would fail."""
    shop, later, *_ = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "shop.py").write_text(shop.replace("redis://localhost:6379/0", clean_valkey.url()))
    # Each line that ends in "# True..." or "# (True..." says what it evaluates to.
    checked = re.sub(r"(?m)^(again\..*?)\s+# \(?True.*$", r"print((\1))", later)
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{tmp_path}", "PYTHONWARNINGS": "ignore"}
    command = [
        sys.executable,
        "-m",
        "switchyard_workers.cli",
        "worker",
        "-A",
        "shop",
        "--node",
        "docs",
        "--slots",
        "1",
    ]
    node = subprocess.Popen(
        [*command, "--", "-P", "solo"],
        cwd=tmp_path,
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
    )
    try:
        wait_until(lambda: is_up(clean_valkey, "docs"), "the node is up", timeout=40)
        done = subprocess.run(
            [sys.executable, "-c", checked],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        node.kill()
        node.wait(10)
    assert (done.returncode, done.stderr) == (0, "")
    state, same = done.stdout.splitlines()
    assert state == "(True, 'SUCCESS', {'sku': 'A-1001', 'currency': 'EUR', 'amount': 1999})"
    assert same == "True"
