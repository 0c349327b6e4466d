"""Messages as kombu writes them, and what somebody may write instead."""

from __future__ import annotations

import base64
import json
import uuid
from typing import Any


def message(
    task: Any = "add",
    body: Any = ([1, 2], {}, {}),
    headers: Any = None,
    properties: Any = None,
    content_type: Any = "application/json",
    raw_body: bytes | None = None,
) -> str:
    """A message for the task, with these headers, properties and body over or instead of the usual ones."""
    task_id = str(uuid.uuid4())
    usual = {"task": task, "id": task_id, "root_id": task_id, "lang": "py", "argsrepr": "(1, 2)"}
    own = {"correlation_id": task_id, "delivery_tag": task_id, "body_encoding": "base64", "priority": 0}
    own |= {"delivery_mode": 2, "delivery_info": {"exchange": "", "routing_key": "celery"}}
    text = json.dumps(body).encode() if raw_body is None else raw_body
    return json.dumps(
        {
            "body": base64.b64encode(text).decode(),
            "content-encoding": "utf-8",
            "content-type": content_type,
            "headers": _over(usual, headers),
            "properties": _over(own, properties),
        }
    )


def _over(usual: dict[str, Any], said: Any) -> Any:
    if said is None:
        return usual
    return {**usual, **said} if isinstance(said, dict) else said


def deep(depth: int = 100_000) -> bytes:
    """JSON that no parser follows to its end."""
    return b"[" * depth


#: Each of these ended a worker, or could: what is of the wrong type, and where.
STRANGE: tuple[str, ...] = (
    deep().decode(),
    message(raw_body=deep()),
    message(raw_body=b"not json"),
    message(raw_body=b""),
    message(body=None),
    message(body=[]),
    message(body=[1, 2, 3]),
    message(body={"args": []}),
    message(body="text"),
    message(task=["unhashable"]),
    message(task={"un": "hashable"}),
    message(task=None),
    message(task=7),
    message(headers=["a", "list"]),
    message(headers="text"),
    message(headers=7),
    message(headers={"timelimit": "soon"}),
    message(headers={"timelimit": 7}),
    message(headers={"timelimit": ["a", "b"]}),
    message(headers={"eta": 7}),
    message(headers={"eta": "tomorrow"}),
    message(headers={"eta": ["x"]}),
    message(headers={"eta": "0001-01-01T00:00:00"}),
    message(headers={"expires": {}}),
    message(headers={"expires": "never"}),
    message(headers={"id": ["x"]}),
    message(headers={"id": None}),
    message(headers={"retries": "many"}),
    message(headers={"shadow": ["x"]}),
    message(headers={"group": 7}),
    message(headers={"stamps": 7, "stamped_headers": 7}),
    message(headers={"compression": "unheard of"}),
    message(headers={"compression": ["x"]}),
    message(headers={"x": {"__type__": "decimal", "__value__": "no number"}}),
    message(headers={"x": {"__type__": "uuid", "__value__": {"hex": "no"}}}),
    message(properties={"delivery_info": ["x"]}),
    message(properties={"delivery_info": 7}),
    message(properties={"delivery_info": None}),
    message(properties={"priority": ["x"]}),
    message(properties={"body_encoding": ["x"]}),
    message(properties={"reply_to": ["x"]}),
    message(properties=["a", "list"]),
    message(properties="text"),
    message(content_type="application/x-unheard-of"),
    message(content_type="application/x-python-serialize"),
    message(content_type=["x"]),
    "7",
    "null",
    "{}",
    '{"properties": {"x": {"__type__": "decimal", "__value__": "no number"}}}',
)
