"""How long a connection of ours may be silent, where the user's transport options say nothing of it.

kombu lets whoever asks a server that is gone wait for ever.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping

#: For connecting, in seconds.
CONNECTS_S = 5.0
#: For an answer, in seconds: longer than a busy server is silent, for whoever gives up publishes once more.
ANSWERS_S = 10.0
#: The kernel asks after so many seconds of silence whether the other end is there, every so many, so often.
_KEEPALIVE = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}


def keepalive() -> Mapping[int, int]:
    """Options of a socket, as far as this system knows them."""
    return {getattr(socket, name): many for name, many in _KEEPALIVE.items() if hasattr(socket, name)}
