"""What kombu's Redis transport has of what came late. Versions: kombu 5.4.2 to 5.7."""

from __future__ import annotations

import kombu
from kombu.transport import redis as kombu_redis

#: ``Producer.batch``: from 5.7 on. Without it there is nothing to call; tasks are published one by one.
HAS_BATCHES = hasattr(kombu_redis, "PublishBatch")
#: A queue declared with ``x-expires`` does expire: from 5.7 on. Without it that is a queue like all others.
EXPIRES_QUEUES = kombu.VERSION >= (5, 7)
#: ``get`` of the poller asks for messages by way of ``on_poll_start``: from 5.7 on. Without it, by itself.
GET_BEGINS_WITH_POLL_START = kombu.VERSION >= (5, 7)
#: While there is no room, a reply stays unread and is not looked for: from 5.7 on. Without it, it is.
RESTS_WITHOUT_ROOM = kombu.VERSION >= (5, 7)
