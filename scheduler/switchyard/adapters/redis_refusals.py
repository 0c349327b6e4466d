"""What a server says that takes no commands, or no writes, for a while: "try again", in words of its own.

A replica, a server without its replicas or with a full disk, one that is full itself, that loads or runs
somebody's long script: to all of them the answer is to ask again later, perhaps elsewhere. redis-py has a
class of its own for some of these, none for others, and calls them errors of the command.
"""

from __future__ import annotations

import re
from typing import Any

from redis.exceptions import (
    ClusterDownError,
    ConnectionError,
    MasterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TimeoutError,
    TryAgainError,
)

#: The codes of such replies. UNBLOCKED ends a blocking command when its server is made a replica.
TRY_AGAIN = (
    "BUSY",
    "CLUSTERDOWN",
    "LOADING",
    "MASTERDOWN",
    "MISCONF",
    "NOREPLICAS",
    "OOM",
    "READONLY",
    "TRYAGAIN",
    "UNBLOCKED",
)
#: redis-py makes classes of some, the most special first, and takes the code from their text.
_CLASSES = {
    ReadOnlyError: "READONLY",
    OutOfMemoryError: "OOM",
    MasterDownError: "MASTERDOWN",
    ClusterDownError: "CLUSTERDOWN",
    TryAgainError: "TRYAGAIN",
}
#: Servers before 7 say it behind the name of a script.
_CODE = re.compile(rf"(?:Error running script .*: -)?({'|'.join(TRY_AGAIN)})\b", re.DOTALL)
#: Those of a server that is no primary: another one may be by now.
_ELSEWHERE = frozenset({"READONLY", "MASTERDOWN", "UNBLOCKED"})

#: A base that mypy looks through: the connections of redis-py, whichever is mixed in.
_Connections: Any = object


class RefusedForNow(ResponseError):
    """The server did nothing of what it was asked; it may do so later.

    ``elsewhere`` says that it is no primary: whoever connects anew may find the one that is.
    """

    def __init__(self, text: str, elsewhere: bool = False) -> None:
        super().__init__(text)
        self.elsewhere = elsewhere


#: What says that the server cannot be had now: asking again later makes sense.
TRY_LATER = (ConnectionError, TimeoutError, RefusedForNow)


def refusal(error: ResponseError) -> RefusedForNow | None:
    """What a reply comes to that is an error; None if asking again makes no sense."""
    text = str(error)
    code = next((code for kind, code in _CLASSES.items() if isinstance(error, kind)), None)
    if code is not None:
        return RefusedForNow(f"{code} {text}", code in _ELSEWHERE)
    found = _CODE.match(text)
    return RefusedForNow(text, found[1] in _ELSEWHERE) if found else None


class TellsRefusals(_Connections):
    """Mixed into redis-py's connections: their replies that say "try again" raise RefusedForNow."""

    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        """The next reply. Raises what the server says."""
        try:
            return super().read_response(*args, **kwargs)
        except ResponseError as exc:
            raise refusal(exc) or exc from None


def telling_refusals(connections: type) -> type:
    """This class of connections of redis-py's, with the above mixed in."""
    return type(connections.__name__, (TellsRefusals, connections), {})
