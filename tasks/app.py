"""The reference application: Celery as everybody writes it, and one call that installs Switchyard."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from celery import Celery

import switchyard
from tasks import codebase

_URL = os.environ.get("SWITCHYARD_BROKER_URL", "redis://localhost:6379/0")

app = Celery("codebase", broker=_URL, backend=_URL)
app.conf.broker_connection_retry_on_startup = True
switchyard.install(app)


@app.task(name="codebase.index", bind=True)
def index(self: Any, root: str, path: str) -> dict[str, Any]:
    """Index one file; the result says which node did it."""
    node = self.request.hostname.partition("@")[0]
    return {"node": node, "file": codebase.index_file(Path(root), path).as_json()}


@app.task(name="codebase.merge")
def merge(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One index out of all files' results, and how many tasks each node ran."""
    files = codebase.merge(codebase.FileIndex.from_json(part["file"]) for part in parts)
    ran = Counter(part["node"] for part in parts)
    return {"files": [file.as_json() for file in files.values()], "ran": dict(ran)}
