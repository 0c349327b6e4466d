"""A TCP proxy that makes loopback a network: every byte arrives later, in order, at any rate.

``python -m benchmarks.machines.proxy TARGET_PORT DELAY_MS`` prints the port that it listens on.
"""

from __future__ import annotations

import queue
import socket
import sys
import threading
import time
from contextlib import suppress

_CHUNK = 1 << 16
#: A chunk and when it is due; None ends the stream.
_Line = queue.SimpleQueue[tuple[float, bytes] | None]


def serve(listener: socket.socket, target: tuple[str, int], delay: float) -> None:
    """Join every connection to one of its own to ``target``, ``delay`` seconds later each way."""
    while True:
        near, _ = listener.accept()
        far = socket.create_connection(target)
        for source, sink in ((near, far), (far, near)):
            sink.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            line: _Line = queue.SimpleQueue()
            threading.Thread(target=_read, args=(source, line, delay), daemon=True).start()
            threading.Thread(target=_write, args=(sink, line), daemon=True).start()


def _read(source: socket.socket, line: _Line, delay: float) -> None:
    with suppress(OSError):
        while data := source.recv(_CHUNK):
            line.put((time.monotonic() + delay, data))
    line.put(None)


def _write(sink: socket.socket, line: _Line) -> None:
    with suppress(OSError):
        while entry := line.get():
            due, data = entry
            time.sleep(max(0.0, due - time.monotonic()))
            sink.sendall(data)
        sink.shutdown(socket.SHUT_RDWR)
    sink.close()


def main(target_port: int, delay_ms: float) -> None:
    """Listen on a free loopback port, say which, and serve until killed."""
    # The default of 5 ms lets one busy thread hold up the delivery of all others for as long.
    sys.setswitchinterval(0.0001)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        serve(listener, ("127.0.0.1", target_port), delay_ms / 1000)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
