"""The cache's parts that need no server: breaker, codec, TTL, addresses."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import switchyard
from switchyard.cache.breaker import FAILURES, PAUSE_S, Breaker, Decision
from switchyard.cache.codec import codec
from switchyard.cache.store import Ttl
from switchyard.errors import ConfigurationError, NotCacheable
from switchyard.urls import server_name


def _opened(now: float) -> Breaker:
    breaker = Breaker()
    assert [breaker.failed(now) for _ in range(FAILURES)] == [False] * (FAILURES - 1) + [True]
    return breaker


def test_a_breaker_opens_after_failures_in_a_row_only() -> None:
    """Broken if one lost connection takes a server away, or if a dead one is tried for ever."""
    breaker = Breaker()
    for _ in range(3 * FAILURES):
        breaker.failed(0.0)
        breaker.succeeded()
        assert breaker.decide(0.0) is Decision.PASS
    assert _opened(0.0).decide(PAUSE_S - 0.01) is Decision.SKIP


def test_an_open_breaker_lets_one_caller_try_per_pause() -> None:
    """Broken if every caller waits for a dead server, or if nobody finds out that it is back."""
    breaker = _opened(0.0)
    assert [breaker.decide(PAUSE_S) for _ in range(3)] == [Decision.TRIAL, Decision.SKIP, Decision.SKIP]
    breaker.failed(PAUSE_S)
    assert breaker.decide(2 * PAUSE_S - 0.01) is Decision.SKIP
    assert breaker.decide(2 * PAUSE_S) is Decision.TRIAL


def test_an_outage_begins_once_and_ends_once() -> None:
    """Broken if an outage is logged at every call."""
    breaker = _opened(0.0)
    assert not breaker.failed(0.1)
    assert breaker.succeeded()
    assert not breaker.succeeded()
    assert breaker.decide(0.2) is Decision.PASS


@pytest.mark.parametrize("serializer", ["json", "msgpack"])
@pytest.mark.parametrize("value", [None, 0, 1.5, "é\n", [1, [2]], {"a": {"b": []}}, True])
def test_plain_data_comes_back_as_it_was(serializer: str, value: Any) -> None:
    """Broken if a hit is not what was cached."""
    each = codec(serializer, 1000)
    assert each.loads(each.encode("key", value)) == value


_PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
)


@given(values=st.lists(_PLAIN, min_size=1, max_size=4))
def test_many_values_read_together_are_what_each_is_alone(values: list[Any]) -> None:
    """Broken if the parser for many values reads a number or a text otherwise than the one for one."""
    each = codec("json", 1_000_000)
    payloads = {str(number): each.encode("key", value) for number, value in enumerate(values)}
    together = each.decode_all(payloads)
    assert repr(together) == repr({key: each.loads(raw) for key, raw in payloads.items()}) != repr({})


def test_what_the_parser_for_many_values_refuses_is_read_all_the_same() -> None:
    """Broken if one value of many levels makes a miss of all that were asked for with it."""
    deep: list[Any] = []
    for _ in range(300):
        deep = [deep]
    each = codec("json", 1000)
    assert each.decode_all({"deep": each.encode("deep", deep), "flat": b"1"}) == {"deep": deep, "flat": 1}


@pytest.mark.parametrize("foreign", [b'"', b"[", b"]", b"1,2", b"", b"\xc4\x80", b"nul"])
def test_what_another_serializer_wrote_is_missing_alone(foreign: bytes) -> None:
    """Broken if decoding many values together gives a key the value of another, or loses its neighbours."""
    payloads = {"a": b'{"n":1}', "b": foreign, "c": b'"text"', "d": foreign, "e": b"[2]"}
    assert codec("json", 100).decode_all(payloads) == {"a": {"n": 1}, "c": "text", "e": [2]}


def test_msgpack_reads_every_key_that_it_writes() -> None:
    """Broken if a dict by number is stored, and a miss for ever."""
    each = codec("msgpack", 100)
    assert each.decode_all({"key": each.encode("key", {1: "a"})}) == {"key": {1: "a"}}
    assert each.decode_all({"key": each.encode("key", {(1, 2): "a"})}) == {}


@pytest.mark.parametrize("serializer", ["json", "msgpack"])
def test_what_cannot_be_cached_is_refused_by_name(serializer: str) -> None:
    """Broken if the message does not say which key to look at."""
    each = codec(serializer, 100)
    with pytest.raises(NotCacheable, match=r"'basket:7' is .* bytes, but 100 is the limit; cache less"):
        each.encode("basket:7", "x" * 200)
    with pytest.raises(NotCacheable, match=r"'basket:7' cannot be encoded"):
        each.encode("basket:7", object())


def test_a_near_cache_without_a_cache_or_with_room_below_nothing_is_refused() -> None:
    """Broken if a wrong argument is an error of the first look-up, or a thread's."""
    cache = switchyard.Cache(["redis://127.0.0.1:1"])
    with pytest.raises(ConfigurationError, match=r"not a switchyard\.Cache; make one"):
        switchyard.NearCache(["redis://127.0.0.1:1"])  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="can't be negative; 0"):
        switchyard.NearCache(cache, entries=-1)
    cache.close()


@pytest.mark.parametrize("key", [7, b"bytes", "\ud800"])
def test_a_key_that_is_no_text_is_refused_with_a_mend(key: Any) -> None:
    """Broken if a number is an error that does not say what to do, or one key has two names."""
    cache = switchyard.Cache(["redis://127.0.0.1:1"])
    for call in (cache.get, cache.delete, cache.owners, lambda wrong: cache.set(wrong, 1)):
        with pytest.raises(ConfigurationError, match=r"can't be a cache key.*; use text"):
            call(key)
    cache.close()


def test_only_safe_serializers_are_known() -> None:
    """Broken if pickle can be chosen."""
    with pytest.raises(ConfigurationError, match="'pickle'; choose 'json' or 'msgpack'"):
        codec("pickle", 100)


def test_jitter_cuts_a_ttl_but_never_prolongs_it() -> None:
    """Broken if entries that were set together expire together, or outlive a tombstone."""
    ttl = Ttl(default=100, longest=1000, jitter=0.1)
    lives = [ttl.lifetime().fresh_ms() / 1000 for _ in range(500)]
    assert 90 <= min(lives) < 92
    assert 98 < max(lives) <= 100


@pytest.mark.parametrize(("ttl", "stale"), [(0, 0), (-1, 0), (1001, 0), (900, 101), (float("nan"), 0)])
def test_a_life_outside_the_limits_is_refused(ttl: float, stale: float) -> None:
    """Broken if an entry outlives the tombstones that must stop it."""
    with pytest.raises(ConfigurationError, match="ttl="):
        Ttl(default=100, longest=1000, jitter=0).lifetime(ttl, stale)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("redis://:secret@10.0.0.7", "10.0.0.7:6379/0"),
        ("rediss://user:secret@cache:6380/3", "cache:6380/3"),
        ("unix:///run/valkey.sock?db=2", "/run/valkey.sock/2"),
    ],
)
def test_a_server_is_named_by_its_place_without_credentials(url: str, name: str) -> None:
    """Broken if a new password moves keys, or is printed."""
    assert server_name(url) == name


@pytest.mark.parametrize(
    ("servers", "options", "message"),
    [
        ([], {}, "names none"),
        (["redis://a", "redis://:pw@a:6379/0"], {}, "one of them twice"),
        (["redis://a", "redis://a"], {}, "twice"),
        ({"redis://a": 0}, {}, "weight"),
        (["http://a"], {}, "no URL of a cache server"),
        ("redis://a", {}, "list of URLs"),
        (["redis+cluster://a", "redis://b"], {}, "stands alone"),
        (["redis://a"], {"replicas": 0}, "replicas=0"),
        (["redis://a"], {"replicas": 1.5}, "replicas=1.5"),
        (["redis://a"], {"deadline": 0}, "deadline=0"),
        (["redis://a"], {"deadline": float("inf")}, "deadline=inf"),
        (["redis://a"], {"longest_ttl": float("inf")}, "longest_ttl=inf"),
        (["redis://a"], {"namespace": "shop[eu]"}, "namespace='shop"),
        (["redis://a"], {"ttl": 0}, "ttl=0"),
        (["redis://a"], {"jitter": 1.5}, "jitter=1.5"),
    ],
)
def test_wrong_use_is_refused_with_a_mend(servers: Any, options: dict[str, Any], message: str) -> None:
    """Broken if a typing error becomes a cache that never hits."""
    with pytest.raises(ConfigurationError, match=message) as refusal:
        switchyard.Cache(servers, **options)
    assert "; " in str(refusal.value)
