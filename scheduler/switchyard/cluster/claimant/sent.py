"""What a node has sent on the connection that its event loop watches, and the server has not answered yet."""

from __future__ import annotations

from enum import Enum


class Sent(Enum):
    """What a reply answers to."""

    SETTLE = 1
    CLAIM = 2
    BELL = 3
