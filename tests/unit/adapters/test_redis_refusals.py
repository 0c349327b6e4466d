"""What servers say when they take nothing for now."""

from __future__ import annotations

from typing import Any

import pytest
from redis import Connection
from redis.exceptions import ResponseError

from switchyard.adapters.redis_refusals import TRY_AGAIN, RefusedForNow, refusal, telling_refusals

#: What redis-py knows how to make an error of: the text of a reply, as it comes over the wire.
_REPLIES = {
    "BUSY": "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "CLUSTERDOWN": "CLUSTERDOWN The cluster is down",
    "LOADING": "LOADING Redis is loading the dataset in memory",
    "MASTERDOWN": "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "MISCONF": "MISCONF Redis is configured to save RDB snapshots, but it's unable to persist to disk.",
    "NOREPLICAS": "NOREPLICAS Not enough good replicas to write. script: 5e, on @user_script:47.",
    "OOM": "OOM command not allowed when used memory > 'maxmemory'.",
    "READONLY": "READONLY You can't write against a read only replica. script: 5e, on @user_script:47.",
    "TRYAGAIN": "TRYAGAIN Multiple keys request during rehashing of slot",
    "UNBLOCKED": "UNBLOCKED force unblock from blocking operation, instance state changed",
}
_OF_OLDER_SERVERS = "ERR Error running script (call to f_5e): @user_script:9: @user_script: 9: -"


def parsed(reply: str) -> Any:
    """The error that redis-py's parser makes of a reply."""
    parser: Any = Connection()._parser
    return parser.parse_error(reply)


@pytest.mark.parametrize("code", [code for code in TRY_AGAIN if code != "LOADING"])
@pytest.mark.parametrize("before", ["", _OF_OLDER_SERVERS])
def test_every_reply_that_says_try_again_is_told(code: str, before: str) -> None:
    """Broken if one of them ends a node, or is told a user as an error of theirs."""
    found = refusal(parsed(before + _REPLIES[code]))
    assert isinstance(found, RefusedForNow)
    assert code in str(found)
    assert found.elsewhere == (code in ("READONLY", "MASTERDOWN", "UNBLOCKED"))


def test_a_server_that_loads_is_no_connection_for_redis_py() -> None:
    """Broken if that changes: it is then for us to tell."""
    assert not isinstance(parsed(_REPLIES["LOADING"]), ResponseError)


@pytest.mark.parametrize(
    "reply",
    [
        "ERR unknown command 'X'",
        "WRONGTYPE Operation against a key holding the wrong kind of value",
        "NOSCRIPT No matching script. Please use EVAL.",
        "NOPERM this user has no permissions",
        "BUSYKEY Target key name already exists.",
        "ERR Error running script (call to f_5e): @user_script:9: READONLY is what my key is called",
    ],
)
def test_what_asking_again_would_not_mend_stays_what_it_is(reply: str) -> None:
    """Broken if a node waits for ever for what will never work."""
    assert refusal(parsed(reply)) is None


def test_a_connection_tells_a_refusal_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken if the translation is asked for errors only some connections raise."""
    raised: list[Exception] = [parsed(_REPLIES["NOREPLICAS"]), parsed("ERR no")]

    def read_response(self: Any) -> None:
        raise raised.pop()

    connection: Any = telling_refusals(type("Fake", (), {"read_response": read_response}))()
    with pytest.raises(ResponseError, match="no"):
        connection.read_response()
    with pytest.raises(RefusedForNow, match="NOREPLICAS"):
        connection.read_response()
