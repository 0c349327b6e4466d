"""Values to bytes and back: JSON, or msgpack where it is installed. Never pickle: who can write to a cache
server must not run code in its clients.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from scheduler.errors import ConfigurationError, NotCacheable

Serializer = Literal["json", "msgpack"]


@dataclass(frozen=True, slots=True)
class Codec:
    """How values travel, and how large one may be (``max_bytes``, encoded)."""

    dumps: Callable[[Any], bytes]
    loads: Callable[[bytes], Any]
    max_bytes: int

    def encode(self, key: str, value: Any) -> bytes:
        """The value as bytes. Raises NotCacheable, which names the key."""
        try:
            payload = self.dumps(value)
        except (TypeError, ValueError, OverflowError, RecursionError) as exc:
            raise NotCacheable(
                f"the value of {key!r} cannot be encoded: {exc}; cache numbers, text, lists and dicts"
            ) from exc
        if len(payload) > self.max_bytes:
            raise NotCacheable(
                f"the value of {key!r} is {len(payload):,} bytes, but {self.max_bytes:,} is the limit; "
                "cache less under one key or raise max_bytes"
            )
        return payload

    def decode_all(self, payloads: Mapping[str, bytes]) -> dict[str, Any]:
        """The values by key, without those that a client with another serializer wrote."""
        values, loads = {}, self.loads
        for key, payload in payloads.items():
            try:
                values[key] = loads(payload)
            except ValueError:  # no suppress(): it costs as much as a small value
                continue
        return values


def codec(serializer: str, max_bytes: int) -> Codec:
    """The codec of this name. Raises ConfigurationError."""
    if serializer == "json":
        encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
        # Our own text has no space around it to look for, which is half of what loads() does.
        decode = json.JSONDecoder().raw_decode
        return Codec(
            lambda value: encoder.encode(value).encode(), lambda raw: decode(raw.decode())[0], max_bytes
        )
    if serializer == "msgpack":
        return _msgpack(max_bytes)
    raise ConfigurationError(f"no serializer is called {serializer!r}; choose 'json' or 'msgpack'")


def _msgpack(max_bytes: int) -> Codec:
    try:
        import msgpack  # noqa: PLC0415 - an optional dependency
    except ImportError:
        raise ConfigurationError(
            "serializer 'msgpack' needs the package msgpack; pip install 'celery-switchyard[msgpack]'"
        ) from None
    return Codec(msgpack.packb, msgpack.unpackb, max_bytes)
