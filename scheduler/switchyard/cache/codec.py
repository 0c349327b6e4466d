"""Values to bytes and back: JSON, or msgpack where it is installed. Never pickle: who can write to a cache
server must not run code in its clients.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from pydantic_core import from_json

from switchyard.errors import ConfigurationError, NotCacheable

Serializer = Literal["json", "msgpack"]


@dataclass(frozen=True, slots=True)
class Codec:
    """How values travel, and how large one may be (``max_bytes``, encoded)."""

    dumps: Callable[[Any], bytes]
    loads: Callable[[bytes], Any]
    #: As ``loads`` for each; raises ValueError, or returns another number of values, if one is not ours.
    loads_many: Callable[[Sequence[bytes]], list[Any]]
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
        try:
            return dict(zip(payloads, self.loads_many(list(payloads.values())), strict=True))
        except (ValueError, RecursionError):
            return self._decode_each(payloads)

    def _decode_each(self, payloads: Mapping[str, bytes]) -> dict[str, Any]:
        values = {}
        for key, payload in payloads.items():
            with suppress(ValueError):
                values[key] = self.loads(payload)
        return values


def codec(serializer: str, max_bytes: int) -> Codec:
    """The codec of this name. Raises ConfigurationError."""
    if serializer == "json":
        encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
        return Codec(
            lambda value: encoder.encode(value).encode(),
            lambda raw: json.loads(raw.decode()),
            _json_list,
            max_bytes,
        )
    if serializer == "msgpack":
        return _msgpack(max_bytes)
    raise ConfigurationError(f"no serializer is called {serializer!r}; choose 'json' or 'msgpack'")


def _json_list(payloads: Sequence[bytes]) -> list[Any]:
    """All of them as one list, and by pydantic's parser, which costs a third of ``json`` one by one.

    No text of JSON has a line break in it, so what one payload leaves open cannot end in another. The parser
    refuses a little that ``json`` takes: half a surrogate pair, or 200 levels.
    """
    values: list[Any] = from_json(b"[" + b",\n".join(payloads) + b"]", cache_strings="keys")
    return values


def _msgpack(max_bytes: int) -> Codec:
    try:
        import msgpack  # noqa: PLC0415 - an optional dependency
    except ImportError:
        raise ConfigurationError(
            "serializer 'msgpack' needs the package msgpack; pip install 'celery-switchyard[msgpack]'"
        ) from None

    def unpack(raw: bytes) -> Any:
        try:
            return msgpack.unpackb(raw, strict_map_key=False)
        except TypeError as exc:  # a key of a dict was a tuple, and comes as a list
            raise ValueError(str(exc)) from exc

    return Codec(msgpack.packb, unpack, lambda raws: list(map(unpack, raws)), max_bytes)
